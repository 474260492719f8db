"""Plans as a site's file says they should be, and which of them its cameras stand on.

A plan is known by name and area; its drawing lies beside the file, and is replaced when the one
that is kept is another one. Plans that the file does not name stay.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.cli.context import out
from app.cli.plans import drawing_in
from camera_hub.devices.schemas import Area, Heading, Name
from camera_hub.devices.spots import NamedSpot
from camera_hub.plans.drawing import Drawing, make_drawing
from camera_hub.plans.models import SitePlan
from camera_hub.plans.schemas import PlanFields, PlanUpdate
from camera_hub.plans.service import meant
from core.errors import HubError, InvalidInputError

if TYPE_CHECKING:
    from api.services import Hub
    from camera_hub.devices.models import Camera


class PlanEntry(BaseModel):
    """A plan of the file; `file` is its drawing, seen from the file's folder."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    file: Annotated[str, Field(min_length=1, max_length=1000)]
    area: Area = ""
    north: Heading | None = None


@dataclass
class WantedPlan:
    """A plan of the file with its drawing, checked."""

    entry: PlanEntry
    content: bytes
    drawing: Drawing


@dataclass
class PlanStep:
    """What is to be done for one plan, in words."""

    wanted: WantedPlan
    plan: SitePlan | None
    lines: list[str] = field(default_factory=list)


def read_plans(entries: list[PlanEntry], folder: Path) -> list[WantedPlan]:
    """Return the plans with their drawings.

    Raises:
        HubError: a drawing cannot be read or is none, or a plan is named twice.
    """
    found: list[WantedPlan] = []
    for number, entry in enumerate(entries, 1):
        where = f"plan {number} ({entry.name[:60]})"
        if any((entry.name, entry.area) == (e.entry.name, e.entry.area) for e in found):
            raise InvalidInputError(f"{where} is in the file twice.")
        content = drawing_in(folder / entry.file)
        try:
            drawing = make_drawing(content)
        except HubError as error:
            raise InvalidInputError(
                f"{where}: {error.message}", remedy=error.remedy, code=error.code
            ) from None
        found.append(WantedPlan(entry, content, drawing))
    return found


async def plan_steps(hub: Hub, wanted: list[WantedPlan]) -> list[PlanStep]:
    """Return what must be done so that the plans are as wanted."""
    there = {(plan.name, plan.area): plan for plan in await _plans(hub)}
    steps = []
    for one in wanted:
        entry = one.entry
        step = PlanStep(one, there.get((entry.name, entry.area)))
        plan, size = step.plan, f"{one.drawing.width}x{one.drawing.height}"
        if plan is None:
            step.lines.append(f"+ {entry.file} ({size})")
        else:
            if plan.sha256 != one.drawing.sha256:
                step.lines.append(f"~ drawing: {plan.width}x{plan.height} -> {size}")
            if entry.north is not None and entry.north != plan.north:
                step.lines.append(f"~ north: {plan.north:g} -> {entry.north:g}")
        steps.append(step)
    return steps


def show_plan(step: PlanStep) -> None:
    """Print what is to be done for a plan."""
    entry = step.wanted.entry
    if step.lines:
        out.print(f"plan {entry.name} ({entry.area or 'site'})", highlight=False, markup=False)
    for line in step.lines:
        out.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


async def do_plan(hub: Hub, step: PlanStep) -> bool:
    """Do a step; say what was wrong and return False if it cannot be done."""
    from api.plans import add_plan, change_plan, replace_drawing

    entry, plan = step.wanted.entry, step.plan
    if not step.lines:
        return True
    try:
        if plan is None:
            body = PlanFields(name=entry.name, area=entry.area, north=entry.north or 0.0)
            await add_plan(hub, None, body, step.wanted.content)
            return True
        version = plan.version
        if plan.sha256 != step.wanted.drawing.sha256:
            version = (
                await replace_drawing(hub, None, plan.id, version, step.wanted.content)
            ).version
        if entry.north is not None and entry.north != plan.north:
            await change_plan(hub, None, plan.id, PlanUpdate(version=version, north=entry.north))
    except HubError as error:
        out.print(f"! plan {entry.name}: {error}", highlight=False, markup=False, soft_wrap=True)
        return False
    return True


async def spot_changes(
    hub: Hub, camera: Camera, spot: NamedSpot | None, wanted: list[WantedPlan]
) -> str:
    """Return in words how a camera's place on a plan differs from the file; "" if it does not.

    Raises:
        InvalidInputError: code `unknown-plan`: neither the hub nor the file has such a plan.
    """
    if spot is None:
        return ""
    plans = await _plans(hub)
    now = next((plan for plan in plans if plan.id == camera.plan_id), None)
    to = meant([*plans, *_to_come(wanted, plans)], spot.plan, camera.area)
    if now is not None and now.id == to.id and (camera.plan_x, camera.plan_y) == (spot.x, spot.y):
        return ""
    was = "(none)" if now is None else f"{now.name} {camera.plan_x:g},{camera.plan_y:g}"
    return f"~ plan: {was} -> {spot.plan} {spot.x:g},{spot.y:g}"


async def spot_of(hub: Hub, spot: NamedSpot, area: str) -> dict[str, UUID | float]:
    """Return the fields of a camera in `area` that stands there.

    Raises:
        InvalidInputError: code `unknown-plan`.
    """
    plan = meant(await _plans(hub), spot.plan, area)
    return {"plan_id": plan.id, "plan_x": spot.x, "plan_y": spot.y}


def _to_come(wanted: list[WantedPlan], plans: list[SitePlan]) -> list[SitePlan]:
    """Return the plans of the file that the hub does not have yet; they are never written."""
    there = {(plan.name, plan.area) for plan in plans}
    return [
        SitePlan(name=one.entry.name, area=one.entry.area)
        for one in wanted
        if (one.entry.name, one.entry.area) not in there
    ]


async def _plans(hub: Hub) -> list[SitePlan]:
    from api.plans import plans_of

    async with hub.database.read() as session:
        return await plans_of(hub, session, None)


def take_spot(where: str, values: dict[str, Any]) -> NamedSpot | None:
    """Take the place on a plan out of what a camera's entry says.

    Raises:
        InvalidInputError: it says but a part of it, or a place outside of the drawing.
    """
    said = [values.pop(name, None) for name in ("plan", "plan_x", "plan_y")]
    if all(one is None for one in said):
        return None
    try:
        spot = NamedSpot.of(str(said[0] or ""), said[1], said[2])
    except ValueError:
        spot = None
    if spot is None or not spot.plan:
        raise InvalidInputError(
            f"{where}: a plan and the place on it go together.",
            remedy="Write plan, plan_x and plan_y; the numbers are from 0 to 1.",
        )
    return spot
