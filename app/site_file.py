"""Plans, cameras and their zones as a file says they should be: `camera-hub apply site.yaml`.

A camera is known by name and area. What the file says of it holds afterwards; what it leaves out
stays, and so do cameras that it does not name. The same file twice changes nothing.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from analytics.zones.schemas import ZoneIn
from app.cli.context import out
from app.site_plans import (
    PlanEntry,
    WantedPlan,
    do_plan,
    plan_steps,
    read_plans,
    show_plan,
    spot_changes,
    spot_of,
    take_spot,
)
from camera_hub.devices.recording_text import NotAPlanError, plan_named
from camera_hub.devices.schemas import CameraCreate, CameraUpdate
from camera_hub.devices.spots import SPOT, NamedSpot
from core.errors import HubError, InvalidInputError
from core.yaml_text import read_yaml

if TYPE_CHECKING:
    from analytics.zones.schemas import ZonesOut
    from api.services import Hub
    from camera_hub.devices.models import Camera

_LARGEST = 2_000_000
_OTHERWISE = {"version", "address", "username", "password", "probe", "household_id", "place_kind"}
_SHOWN = (set(CameraUpdate.model_fields) - _OTHERWISE - set(SPOT)) | {"household_id", "place_kind"}


class _CameraFile(BaseModel):
    """A camera of the file: what `cameras add` takes, where its password is, and its zones."""

    model_config = ConfigDict(extra="allow")

    name: str
    password_env: str | None = None
    password_file: Path | None = None
    zones: list[ZoneIn] | None = None


class _SiteFile(BaseModel):
    """The file."""

    model_config = ConfigDict(extra="forbid")

    defaults: dict[str, Any] = {}
    plans: list[PlanEntry] = Field(default=[], max_length=500)
    cameras: list[dict[str, Any]] = Field(default=[], max_length=5000)


@dataclass
class Wanted:
    """A camera of the file, checked. `named` are the fields that the file says."""

    body: CameraCreate
    named: set[str]
    zones: list[ZoneIn] | None
    spot: NamedSpot | None = None


@dataclass
class Site:
    """The file, checked."""

    plans: list[WantedPlan]
    cameras: list[Wanted]


@dataclass
class _Step:
    """What is to be done for one camera, in words."""

    wanted: Wanted
    camera: "Camera | None"
    changes: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    zones: int | None = None
    stands: bool = False

    @property
    def title(self) -> str:
        """The camera's name and area."""
        body = self.wanted.body
        return f"{body.name} ({body.area or 'site'})"


async def apply_file(hub: "Hub", site: Site, *, dry_run: bool) -> bool:
    """Show what differs from the file and change it unless `dry_run`; False if something failed."""
    plans = await plan_steps(hub, site.plans)
    steps = [await _step(hub, one, site.plans) for one in site.cameras]
    for plan in plans:
        show_plan(plan)
    for step in steps:
        _show(step)
    todo = [step for step in steps if step.lines]
    if not todo and not any(plan.lines for plan in plans):
        out.print("Everything is as the file says.")
        return True
    if dry_run:
        return True
    # Plans first: cameras stand on them.
    done = [await do_plan(hub, plan) for plan in plans]
    return all([*done, *[await _do(hub, step) for step in todo]])


def read_file(file: Path) -> Site:
    """Return the plans and cameras of the file.

    Raises:
        InvalidInputError: it cannot be read, or says something that cannot be.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{file} cannot be read: {error}.") from None
    if len(text) > _LARGEST:
        raise InvalidInputError(f"{file} is larger than 2 MB.", remedy="Apply it in parts.")
    try:
        site = _SiteFile.model_validate(read_yaml(text) or {})
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f", line {mark.line + 1}"
        raise InvalidInputError(f"{file}{where}: this is no YAML.") from None
    except ValidationError as error:
        raise InvalidInputError(_wrong(str(file), error)) from None
    found, seen = [], set()
    for number, said in enumerate(site.cameras, 1):
        one = _wanted(number, site.defaults, said, file.parent)
        key = one.body.name, one.body.area
        if key in seen:
            raise InvalidInputError(f"camera {number} ({key[0]}) is in the file twice.")
        seen.add(key)
        found.append(one)
    return Site(read_plans(site.plans, file.parent), found)


def _wanted(number: int, defaults: dict[str, Any], entry: dict[str, Any], folder: Path) -> Wanted:
    where = f"camera {number} ({str(entry.get('name', '?'))[:60]})"
    if {"password_env", "password_file"} & entry.keys():
        defaults = {k: v for k, v in defaults.items() if not k.startswith("password_")}
    try:
        said = _CameraFile.model_validate({**defaults, **entry})
    except ValidationError as error:
        raise InvalidInputError(_wrong(where, error)) from None
    values = {**(said.model_extra or {}), "name": said.name}
    if said.password_env is not None or said.password_file is not None:
        values["password"] = SecretStr(_secret(where, said, folder))
    elif "password" in values:
        raise InvalidInputError(
            f"{where}: a password stands in the file.",
            remedy="Put it into an environment variable (password_env) or a file of its own "
            "(password_file).",
        )
    address = str(values.get("address", "")).lower()
    values.setdefault("source_kind", "rtsp" if address.startswith("rtsp") else "onvif")
    if values.get("recording") is False:
        values["recording"] = "off"  # what YAML makes of a bare off
    spot = take_spot(where, values)
    try:
        if isinstance(values.get("recording"), str):
            values["recording"] = plan_named(values["recording"])
        body = CameraCreate.model_validate(values)
    except NotAPlanError as error:
        raise InvalidInputError(f"{where}: {error}") from None
    except ValidationError as error:
        raise InvalidInputError(_wrong(where, error)) from None
    return Wanted(body, set(values), said.zones, spot)


def _secret(where: str, said: _CameraFile, folder: Path) -> str:
    if said.password_env is not None:
        value = os.environ.get(said.password_env)
        if value is None:
            raise InvalidInputError(f"{where}: {said.password_env} is not in the environment.")
        return value
    try:
        return (folder / str(said.password_file)).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise InvalidInputError(f"{where}: {said.password_file} cannot be read.") from None


def _wrong(where: str, error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{where}: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}."


async def _step(hub: "Hub", wanted: Wanted, plans: list[WantedPlan]) -> _Step:
    """Return what must be done so that a camera is as wanted."""
    from access.scope import EVERYTHING
    from camera_hub.devices import repository

    async with hub.database.read() as session:
        named = await repository.named(session, wanted.body.name, EVERYTHING)
        camera = next((one for one in named if one.area == wanted.body.area), None)
        step = _Step(wanted, camera)
        if camera is None:
            step.lines.append(f"+ {wanted.body.address}")
            if wanted.zones:
                step.zones = 0
                step.lines.append(f"+ {len(wanted.zones)} zones")
            if wanted.spot:
                step.lines.append(f"+ on the plan {wanted.spot.plan}")
            return step
        await _compare_zones(session, camera, step)
    if line := await spot_changes(hub, camera, wanted.spot, plans):
        step.lines.append(line)
        step.stands = True
    now = hub.devices.describe(camera).model_dump(mode="json")
    for name in sorted(_SHOWN & wanted.named):
        value = wanted.body.model_dump(mode="json")[name]
        if value is not None and value != now[name]:
            step.changes[name] = getattr(wanted.body, name)
            step.lines.append(f"~ {name}: {_short(now[name])} -> {_short(value)}")
    _compare_account(hub, camera, step)
    return step


def _compare_account(hub: "Hub", camera: "Camera", step: _Step) -> None:
    from camera_hub.devices.address import parse_address

    body = step.wanted.body
    address = parse_address(body.source_kind, body.address, hub.devices.prober.reach)
    if address.url != camera.address:
        step.changes["address"] = body.address
        step.lines.append(f"~ address: {camera.address} -> {address.url}")
    if body.username and body.username != camera.username:
        step.changes["username"] = body.username
        step.lines.append(f"~ username: {camera.username} -> {body.username}")
    password = body.password.get_secret_value()
    if password and password != hub.devices.password_of(camera):
        step.changes["password"] = body.password
        step.lines.append("~ password")
    if {"address", "username", "password"} & step.changes.keys():
        step.changes["probe"] = body.probe
        if password:
            step.changes["password"] = body.password


async def _compare_zones(session: Any, camera: "Camera", step: _Step) -> None:
    from analytics.zones.service import read_zones

    wanted = step.wanted.zones
    if wanted is None:
        return
    now = await read_zones(session, camera.id)
    if _zones(wanted) != _zones_now(now):
        step.zones = now.version
        step.lines.append(f"~ zones: {len(now.zones)} -> {len(wanted)}")


def _zones(zones: list[ZoneIn]) -> list[dict[str, Any]]:
    return [zone.model_dump(mode="json", exclude={"id"}) for zone in zones]


def _zones_now(now: "ZonesOut") -> list[dict[str, Any]]:
    return [zone.model_dump(mode="json", exclude={"id"}) for zone in now.zones]


def _short(value: Any) -> str:
    text = str(value) if value not in (None, "") else "(none)"
    return text if len(text) <= 100 else f"{text[:97]}..."


def _show(step: _Step) -> None:
    if step.lines:
        out.print(step.title, highlight=False, markup=False)
    for line in step.lines:
        out.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


async def _do(hub: "Hub", step: _Step) -> bool:
    """Do a step; say what was wrong and return False if it cannot be done."""
    from analytics.zones.schemas import ZonesUpdate
    from analytics.zones.service import replace_zones
    from api.cameras import allow_create, change, create, tell

    body = step.wanted.body
    try:
        spot = step.wanted.spot
        fields = {} if spot is None else await spot_of(hub, spot, body.area)
        if step.camera is None:
            body = body.model_copy(update=fields)
            allow_create(hub, None, body)
            found = await hub.devices.find(body)
            async with hub.database.transaction() as session:
                camera = await create(hub, session, None, body, found)
        else:
            camera = step.camera
            if step.changes or step.stands:
                update = {"version": camera.version, **step.changes, **fields}
                camera = await change(hub, None, camera.id, CameraUpdate.model_validate(update))
        if step.zones is not None:
            async with hub.database.transaction() as session:
                zones = ZonesUpdate(version=step.zones, zones=tuple(step.wanted.zones or ()))
                await replace_zones(session, hub.clock, camera.id, zones)
                await tell(hub, session, camera)
                await hub.ledger.append(
                    session,
                    "camera.zones_changed",
                    actor=None,
                    area=camera.area,
                    subject=str(camera.id),
                    data={"version": step.zones + 1, "zones": len(zones.zones)},
                )
    except HubError as error:
        out.print(f"! {step.title}: {error}", highlight=False, markup=False, soft_wrap=True)
        return False
    return True
