"""What is said of a camera's place, and what must hold before it is believed.

A home camera belongs to a household and lies where that household lives; every camera keeps to the
law in force. Cameras that were there before the law was switched on stay, and are findings.
"""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from access.households.service import HomePlace, Households
from access.jurisdictions import Breach, CameraFacts, Law
from access.ledger.service import JsonScalar, Ledger
from access.policy.areas import normalise_area
from access.policy.types import Actor
from camera_hub.devices import repository
from camera_hub.devices.models import Camera
from camera_hub.devices.recording_plan import RecordingMode, RecordingPlan, plan_of
from camera_hub.devices.schemas import CameraCreate, CameraUpdate, WarningOut
from camera_hub.devices.spots import SPOT
from core.errors import InvalidInputError
from core.settings import SiteSettings

TEXTS = ("place_type", "purpose", "owner", "contact", "retention_reason", "sound_reason")
FLAGS = ("signage", "residents_may_watch", "sound")
RECORDED = (
    "name",
    "area",
    "place_kind",
    "household_id",
    *TEXTS,
    "retention_hours",
    *FLAGS,
    "enabled",
    "analyse",
    "analysed_by",
)
"""Fields whose change is in the ledger. The address is not: it may say where in a flat it hangs."""

PLACED = ("latitude", "longitude", "heading")
"""Where on the map; null takes it away."""

_LAWFUL = frozenset({"place_kind", "retention_hours", "enabled", *TEXTS, *FLAGS})


def set_facts(camera: Camera, body: CameraCreate | CameraUpdate) -> None:
    """Take over what `body` says of the camera's place; what it leaves out stays."""
    for name in (*TEXTS, *FLAGS):
        if (value := getattr(body, name)) is not None:
            setattr(camera, name, value)
    for name in ("retention_hours", *PLACED):
        if name in body.model_fields_set:
            setattr(camera, name, getattr(body, name))
    if body.model_fields_set & set(SPOT):
        for name in SPOT:
            setattr(camera, name, getattr(body, name))
    if body.transport is not None:
        camera.transport = body.transport
    if body.analysed_by is not None:
        camera.analysed_by = body.analysed_by
    if camera.place_kind != "shared_space" and not body.residents_may_watch:
        # What residents could watch as a shared space, they cannot as anything else.
        camera.residents_may_watch = False


def first_plan(camera: Camera, body: CameraCreate, mode: RecordingMode) -> None:
    """Give a new camera the plan that `body` names, else the site's mode; in a home, off."""
    asked = body.recording or RecordingPlan(mode="off" if camera.place_kind == "home" else mode)
    camera.recording = asked.stored


def change_plan(camera: Camera, body: CameraUpdate, before: HomePlace, at: datetime) -> None:
    """Take over the plan that `body` names. A camera that has become a home's is off without one.

    What was agreed for a gate is not agreed for a home, nor by one household for another. What it
    recorded until then (`at`) is not the home's.
    """
    now = home_place(camera)
    if now.place_kind == "home" and before.place_kind != "home":
        camera.home_since = at
    if body.recording is not None:
        camera.recording = body.recording.stored
    elif now.place_kind == "home" and now != before:
        camera.recording = plan_of(camera.recording).model_copy(update={"mode": "off"}).stored
    if now.place_kind == "home" and now != before and body.sound is None:
        camera.sound, camera.sound_reason = False, ""


def records_more(camera: Camera, body: CameraUpdate) -> bool:
    """Say whether `body` lets a camera be recorded otherwise than now, and not just not at all."""
    plan = body.recording
    if plan is None or plan.mode == "off":
        return False
    return plan != plan_of(camera.recording) or _becomes_a_home(camera, body)


def hears_more(camera: Camera, body: CameraUpdate) -> bool:
    """Say whether `body` lets a camera be heard that is silent now, or would be as a home's."""
    return bool(body.sound) and (not camera.sound or _becomes_a_home(camera, body))


def _becomes_a_home(camera: Camera, body: CameraUpdate) -> bool:
    """Say whether `body` makes a camera one of a home that it does not look into now."""
    to_be = HomePlace(
        body.place_kind or camera.place_kind, body.household_id or camera.household_id
    )
    return to_be.place_kind == "home" and to_be != home_place(camera)


def facts_out(camera: Camera, law: Law) -> dict[str, Any]:
    """Return the fields of `CameraFactsOut`."""
    return {
        "household_id": camera.household_id,
        "place_type": camera.place_type,
        "purpose": camera.purpose,
        "owner": camera.owner,
        "contact": camera.contact,
        "retention_hours": camera.retention_hours,
        "retention_in_force_hours": law.retention_of(
            camera.place_type, camera.place_kind, camera.retention_hours
        ),
        "retention_reason": camera.retention_reason,
        "signage": camera.signage,
        "residents_may_watch": camera.residents_may_watch,
        "sound": camera.sound,
        "sound_reason": camera.sound_reason,
        "masks": camera.masks,
        "masks_burnt": camera.masks_burnt,
        "recording": plan_of(camera.recording),
        **{name: getattr(camera, name) for name in (*PLACED, *SPOT)},
    }


def recorded(camera: Camera) -> dict[str, JsonScalar]:
    """Return what the ledger says of a camera."""
    values = {name: getattr(camera, name) for name in RECORDED}
    values["household_id"] = str(camera.household_id) if camera.household_id else ""
    plan = plan_of(camera.recording)
    values["recording"] = plan.mode if plan.mode == "off" else f"{plan.mode} {plan.role}"
    return values


def facts_of(camera: Camera, site: SiteSettings) -> CameraFacts:
    """Return what the law wants to know; the site answers for cameras without an owner."""
    return CameraFacts(
        name=camera.name,
        place_kind=camera.place_kind,
        place_type=camera.place_type,
        purpose=camera.purpose,
        owner=camera.owner or site.owner,
        contact=camera.contact or site.contact,
        retention_hours=camera.retention_hours,
        retention_reason=camera.retention_reason,
        signage=camera.signage,
        sound=camera.sound,
        sound_reason=camera.sound_reason,
    )


async def broken_rules(
    session: AsyncSession, law: Law, site: SiteSettings
) -> list[tuple[Camera, Breach]]:
    """Return each camera of the site with each rule that it breaks, by area and name."""
    return [
        (camera, breach)
        for camera in await repository.all_bare(session)
        for breach in law.findings(facts_of(camera, site))
    ]


class Places:
    """Decides what may be said of a camera's place, and puts it on record."""

    def __init__(
        self, law: Law, households: Households, ledger: Ledger, site: SiteSettings
    ) -> None:
        self.law = law
        self._households = households
        self._ledger = ledger
        self._site = site

    def warnings(self, camera: Camera) -> list[WarningOut]:
        """Return what a camera's name makes one ask."""
        return [
            WarningOut(
                code="forbidden-place-name",
                message=str(hint.message),
                texts=hint.message,
            )
            for hint in self.law.hints(camera.name, camera.place_type)
        ]

    async def check(
        self,
        session: AsyncSession,
        camera: Camera,
        body: CameraCreate | CameraUpdate,
        before: HomePlace | None = None,
    ) -> None:
        """Refuse the camera as `body` has made it, in the transaction that would keep it.

        Raises:
            LawRefusedError: it breaks the law in force.
            ConflictError: code `home-stays-home`.
            InvalidInputError: it names no household, or one where it cannot be, or it would let
                residents watch what is not shared.
        """
        named = body.model_fields_set
        # Switched on again, too: a household that has moved out sees and consents to nothing.
        moved = named & {"place_kind", "household_id", "area"}
        if isinstance(body, CameraCreate) or moved or (body.enabled and "enabled" in named):
            await self._check_home(session, camera, before)
        if camera.residents_may_watch and camera.place_kind != "shared_space":
            raise InvalidInputError(
                "Residents may watch cameras of shared spaces only.",
                remedy="Leave residents_may_watch out, or make it a camera of a shared space.",
                code="residents-shared-only",
            )
        if isinstance(body, CameraCreate):
            self.law.require(facts_of(camera, self._site))
            return
        # Less may be done with a camera whatever else is wrong with it.
        less = named & _LAWFUL <= {"enabled", "sound"} and not (body.enabled or body.sound)
        if named & _LAWFUL and not less:
            self.law.require(facts_of(camera, self._site))

    async def _check_home(
        self, session: AsyncSession, camera: Camera, before: HomePlace | None
    ) -> None:
        wanted = HomePlace(camera.place_kind, camera.household_id)
        if before is not None and before.household_id is None and wanted.place_kind == "home":
            # A home camera from before there were households is given its own.
            before = None
        await self._households.check_home(session, wanted, before)
        if camera.household_id is None:
            return
        household = await self._households.get(session, camera.household_id)
        if normalise_area(camera.area) != household.area:
            raise InvalidInputError(
                f"{household.name} lives in '{household.area}', the camera lies in "
                f"'{camera.area}'.",
                remedy="Give the camera the area of its household.",
                code="household-elsewhere",
            )

    async def note(
        self,
        session: AsyncSession,
        kind: str,
        actor: Actor | None,
        camera: Camera,
        before: dict[str, JsonScalar] | None = None,
    ) -> None:
        """Write to the ledger what was added, removed or changed; append last."""
        now = recorded(camera)
        if before is None:
            data = now
        else:
            data = {
                name: f"{before[name]} -> {value}"
                for name, value in now.items()
                if value != before[name]
            }
            if not data:
                return
        await self._ledger.append(
            session, kind, actor=actor, area=camera.area, subject=str(camera.id), data=data
        )


def home_place(camera: Camera) -> HomePlace:
    """Return where a camera is, as far as households are concerned."""
    return HomePlace(camera.place_kind, camera.household_id)
