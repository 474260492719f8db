"""Every decision on plans: adding and changing them, and which one somebody means by a name."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.areas import covers, normalise_area
from access.policy.types import Resource
from access.scope import CameraScope
from camera_hub.devices.models import Camera
from camera_hub.plans import repository
from camera_hub.plans.drawing import Drawing, make_drawing
from camera_hub.plans.files import PlanFiles
from camera_hub.plans.models import SitePlan
from camera_hub.plans.schemas import PlanFields, PlanOut, PlanUpdate
from core.clock import Clock
from core.database import Database
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.ids import new_id
from core.logging import get_logger

_log = get_logger("camera_hub.plans")


def resource_of(plan: SitePlan) -> Resource:
    """Return `plan` as what is asked for."""
    return Resource("plan", id=str(plan.id), area=plan.area)


class Plans:
    """The plans of the site."""

    def __init__(self, clock: Clock, data_dir: Path) -> None:
        self._clock = clock
        self._drawing = asyncio.Semaphore(1)
        self.files = PlanFiles(data_dir / "plans", clock)

    async def draw(self, content: bytes) -> Drawing:
        """Return the drawing in what somebody sent; slow, so call it outside of a transaction.

        Raises:
            HubError: as `camera_hub.plans.drawing.make_drawing` says.
        """
        # Those who wait hold no thread: what else runs in threads goes on.
        async with self._drawing:
            return await asyncio.to_thread(make_drawing, content)

    async def get(self, session: AsyncSession, plan_id: UUID) -> SitePlan:
        """Return a plan.

        Raises:
            NotFoundError: there is none with this id.
        """
        plan = await repository.by_id(session, plan_id)
        if plan is None:
            raise NotFoundError("There is no such plan.", remedy="Reload the list of plans.")
        return plan

    async def add(
        self, session: AsyncSession, body: PlanFields, drawing: Drawing, by: UUID | None
    ) -> SitePlan:
        """Add a plan; its drawing must be held by `files.keeping` until the commit.

        Raises:
            ConflictError: code `plan-name-taken`.
            InvalidInputError: the area is none.
        """
        area = normalise_area(body.area)
        await self._check_name(session, body.name, area)
        plan = SitePlan(
            id=new_id(),
            name=body.name,
            area=area,
            north=body.north,
            version=1,
            created_at=self._clock.now(),
            created_by=by,
            **_drawn(drawing),
        )
        await repository.add(session, plan)
        return plan

    async def change(self, session: AsyncSession, plan: SitePlan, body: PlanUpdate) -> None:
        """Rename a plan, turn its north, or file it under another area.

        Raises:
            ConflictError: `version-conflict` or `plan-name-taken`.
            InvalidInputError: the area is none.
        """
        name = plan.name if body.name is None else body.name
        area = plan.area if body.area is None else normalise_area(body.area)
        if (name, area) != (plan.name, plan.area):
            await self._check_name(session, name, area)
        await self._take(session, plan, body.version)
        plan.name, plan.area = name, area
        if body.north is not None:
            plan.north = body.north
        await session.flush()

    async def redraw(
        self, session: AsyncSession, plan: SitePlan, version: int, drawing: Drawing
    ) -> None:
        """Replace a plan's drawing; cameras keep their places as fractions of it.

        Raises:
            ConflictError: `version-conflict`.
        """
        await self._take(session, plan, version)
        for name, value in _drawn(drawing).items():
            setattr(plan, name, value)
        await session.flush()

    async def remove(self, session: AsyncSession, plan: SitePlan) -> list[Camera]:
        """Remove a plan; return the cameras that stood on it and stand nowhere now."""
        cameras = await repository.cameras_on(session, plan.id)
        for camera in cameras:
            camera.plan_id = camera.plan_x = camera.plan_y = None
            camera.version += 1
        await repository.remove(session, plan)
        _log.info("a plan was removed", plan=plan.name, area=plan.area, cameras=len(cameras))
        return [camera for camera in cameras if camera.deleted_at is None]

    async def forget_drawings(self, database: Database, only: Sequence[str] = ()) -> int:
        """Delete drawings that no plan names (`only` these at once, else those a day old)."""

        async def named() -> set[str]:
            async with database.read() as session:
                return await repository.hashes(session)

        return await self.files.remove_unnamed(named, only)

    async def drawing_of(self, plan: SitePlan) -> bytes:
        """Return the bytes of a plan's drawing.

        Raises:
            UnavailableError: code `plan-missing`.
        """
        return await asyncio.to_thread(self.files.read, plan.sha256, plan.suffix)

    async def describe(
        self, session: AsyncSession, plans: Sequence[SitePlan], scope: CameraScope
    ) -> list[PlanOut]:
        """Return plans for the wire; cameras outside of `scope` are not counted."""
        counted = await repository.counts(session, [plan.id for plan in plans], scope)
        return [
            PlanOut(
                id=plan.id,
                name=plan.name,
                area=plan.area,
                width=plan.width,
                height=plan.height,
                bytes=plan.bytes,
                north=plan.north,
                version=plan.version,
                created_at=plan.created_at,
                cameras=counted.get(plan.id, 0),
            )
            for plan in plans
        ]

    async def _take(self, session: AsyncSession, plan: SitePlan, version: int) -> None:
        if not await repository.take_version(session, plan.id, version):
            raise ConflictError(
                f"Somebody else changed the plan '{plan.name}' in the meantime.",
                remedy="Load it again and repeat your change.",
                code="version-conflict",
                detail={"current": plan.version},
            )
        await session.refresh(plan)

    async def _check_name(self, session: AsyncSession, name: str, area: str) -> None:
        if any(plan.area == area for plan in await repository.called(session, name)):
            raise ConflictError(
                f"There is a plan '{name}' in this area already.",
                remedy="Give it another name, or replace the drawing of that one.",
                code="plan-name-taken",
            )


def meant(plans: Sequence[SitePlan], name: str, area: str) -> SitePlan:
    """Return which of `plans` somebody means by `name` for a camera in `area`.

    The narrowest whose area holds the camera's, else the only one of this name.

    Raises:
        InvalidInputError: code `unknown-plan`: there is none, or several and none fits better.
    """
    same = [plan for plan in plans if plan.name == name]
    around = sorted((p for p in same if covers(p.area, area)), key=lambda p: len(p.area))
    if around:
        return around[-1]
    if len(same) == 1:
        return same[0]
    found = f"{len(same)} plans are called '{name}'" if same else f"There is no plan '{name}'"
    raise InvalidInputError(
        f"{found}, and none in '{area}' or above." if same else f"{found}.",
        remedy="Add the plan first, or write its name as the page of plans does.",
        code="unknown-plan",
    )


def _drawn(drawing: Drawing) -> dict[str, str | int]:
    return {
        "width": drawing.width,
        "height": drawing.height,
        "bytes": len(drawing.content),
        "sha256": drawing.sha256,
        "suffix": drawing.suffix,
    }
