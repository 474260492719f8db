"""Adding the cameras of a list: tried first, then added one by one, or all or none.

Imports live in memory, with the passwords of their list until they end; a hub that starts anew
knows none, and what was added until then stays.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from access.policy.types import Actor
from api.cameras import allow_create, create
from api.door import actor_now
from api.hub import Hub
from api.plans import plans_of, stand
from camera_hub.devices import repository
from camera_hub.devices.address import parse_address
from camera_hub.devices.found import unprobed
from camera_hub.devices.import_schemas import ImportOut, ImportRowOut
from camera_hub.devices.importing import Row
from camera_hub.devices.schemas import CameraCreate
from camera_hub.devices.spots import NamedSpot
from camera_hub.devices.types import ProbeResult
from core.errors import ConflictError, HubError, NotFoundError, UnauthenticatedError
from core.ids import new_id
from governance.areas.service import check as check_area

PROBED_AT_ONCE = 6
"""Fewer than may be probed at all: somebody may want to add a camera by hand meanwhile."""
_MOST_KEPT = 10
_AGAIN_S = 0.5


@dataclass(eq=False)
class _Job:
    id: UUID
    actor: Actor | None
    dry_run: bool
    together: bool
    probe: bool
    rows: list[ImportRowOut]
    bodies: dict[int, CameraCreate]
    state: Literal["running", "done", "cancelled"] = "running"
    done: int = 0
    task: asyncio.Task[None] | None = None
    found: dict[int, ProbeResult] = field(default_factory=dict)
    spots: dict[int, NamedSpot] = field(default_factory=dict)


class _Undone(Exception):  # noqa: N818 - no error: it takes a trial back
    """Takes a trial back."""


class Imports:
    """The imports of this process."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._jobs: OrderedDict[UUID, _Job] = OrderedDict()

    async def begin(
        self,
        actor: Actor | None,
        rows: Sequence[Row],
        *,
        dry_run: bool,
        probe: bool = True,
        together: bool = False,
    ) -> ImportOut:
        """Look at each row; go on in the background where cameras are asked or added.

        Args:
            actor: who imports; None is the command line.
            rows: the list.
            dry_run: add nothing.
            probe: in a dry run, ask the cameras as well.
            together: add all of them or none.

        Raises:
            ConflictError: code `import-running`.
        """
        if any(job.state == "running" for job in self._jobs.values()):
            raise ConflictError(
                "A list is being imported already.",
                remedy="Wait for its end, or cancel it.",
                code="import-running",
            )
        job = _Job(
            id=new_id(),
            actor=actor,
            dry_run=dry_run,
            together=together,
            probe=probe,
            rows=[
                ImportRowOut(
                    line=row.line,
                    name=row.name,
                    area=row.area,
                    state="ok" if row.body else "invalid",
                    message=row.message,
                    code=row.code,
                    params=dict(row.params),
                )
                for row in rows
            ],
            bodies={at: row.body for at, row in enumerate(rows) if row.body is not None},
            spots={at: row.spot for at, row in enumerate(rows) if row.spot is not None},
        )
        self._jobs[job.id] = job
        while len(self._jobs) > _MOST_KEPT:
            self._jobs.popitem(last=False)
        try:
            await self._try_all(job)
        except BaseException:
            _end(job, "cancelled")
            raise
        if dry_run and not probe:
            job.done = len(job.rows)
            _end(job, "done")
        else:
            job.task = asyncio.create_task(self._run(job))
        return _describe(job)

    def read(self, job_id: UUID, actor: Actor | None) -> ImportOut:
        """Return an import to whoever began it.

        Raises:
            NotFoundError: there is none, or the hub has started anew since.
        """
        return _describe(self._job(job_id, actor))

    async def cancel(self, job_id: UUID, actor: Actor | None) -> None:
        """Let whoever began an import break it off; what was added stays.

        Raises:
            NotFoundError: there is none.
        """
        await _break_off(self._job(job_id, actor))

    async def wait(self, job_id: UUID, actor: Actor | None) -> ImportOut:
        """Wait for the end of an import and return it.

        Raises:
            NotFoundError: there is none.
        """
        job = self._job(job_id, actor)
        if job.task is not None:
            await asyncio.wait([job.task])
        return _describe(job)

    async def close(self) -> None:
        """Break every import off."""
        for job in list(self._jobs.values()):
            await _break_off(job)

    def _job(self, job_id: UUID, actor: Actor | None) -> _Job:
        job = self._jobs.get(job_id)
        began = None if job is None or job.actor is None else job.actor.id
        if job is None or began != (None if actor is None else actor.id):
            raise NotFoundError("There is no such import.", remedy="Begin a new one.")
        return job

    async def _try_all(self, job: _Job) -> None:
        """Say of each row whether it could be added, without asking the camera."""
        async with self._hub.database.read() as session:
            there = {(row.name, row.area) for row in await repository.all_bare(session)}
            plans = await plans_of(self._hub, session, job.actor) if job.spots else []
        for at, body in list(job.bodies.items()):
            if (body.name, body.area) in there:
                message = "There is a camera of this name here; it stays as it is."
                self._say(job, at, "exists", message=message, code="camera-exists")
                continue
            try:
                if at in job.spots:
                    job.bodies[at] = stand(body, job.spots[at], plans)
                await self._try(job.actor, job.bodies[at])
            except HubError as error:
                self._refuse(job, at, "invalid", error)

    async def _try(self, actor: Actor | None, body: CameraCreate) -> None:
        hub = self._hub
        allow_create(hub, actor, body)
        parse_address(body.source_kind, body.address, hub.devices.prober.reach)
        # What a camera says of itself is not known yet: as if it had said nothing.
        found = unprobed(body)
        plain = body.model_copy(update={"main_profile": None, "sub_profile": None})
        with suppress(_Undone):
            async with hub.database.transaction() as session:
                await check_area(session, body.area)
                camera = await hub.devices.add(session, plain, found)
                await hub.places.check(session, camera, plain)
                raise _Undone

    async def _run(self, job: _Job) -> None:
        state: Literal["done", "cancelled"] = "cancelled"
        try:
            waiting = list(job.bodies)
            job.done = len(job.rows) - len(waiting)
            for at in waiting:
                job.rows[at].state = "waiting"
            slots = asyncio.Semaphore(PROBED_AT_ONCE)
            async with asyncio.TaskGroup() as group:
                for at in waiting:
                    group.create_task(self._one(job, at, slots))
            if job.together and not job.dry_run:
                await self._add_together(job)
            state = "done"
        finally:
            _end(job, state)

    async def _one(self, job: _Job, at: int, slots: asyncio.Semaphore) -> None:
        """Ask a row's camera, and add it unless all are added together."""
        async with slots:
            body = job.bodies[at]
            try:
                job.found[at] = found = await self._find(body)
                if job.dry_run:
                    self._say(job, at, "ok")
                elif not job.together:
                    await self._add(job, at, body, found)
            except HubError as error:
                self._refuse(job, at, "failed", error)
            job.done += 1

    async def _find(self, body: CameraCreate) -> ProbeResult:
        while True:
            try:
                return await self._hub.devices.find(body)
            except HubError as error:
                if error.code != "too-many-probes":
                    raise
            await self._hub.clock.sleep(_AGAIN_S)

    async def _add(self, job: _Job, at: int, body: CameraCreate, found: ProbeResult) -> None:
        hub = self._hub
        actor = await self._actor(job)
        allow_create(hub, actor, body)
        async with hub.database.transaction() as session:
            camera = await create(hub, session, actor, body, found)
        self._say(job, at, "created", camera_id=camera.id)

    async def _add_together(self, job: _Job) -> None:
        hub = self._hub
        wrong = [row for row in job.rows if row.state in ("invalid", "failed")]
        waiting = [at for at in job.found if job.rows[at].state == "waiting"]
        if wrong:
            message = f"Nothing was added: line {wrong[0].line} cannot be."
            for at in waiting:
                self._say(job, at, "failed", message=message, code="list-wrong")
                job.rows[at].params = {"line": str(wrong[0].line)}
            return
        made: dict[int, UUID] = {}
        at = -1
        try:
            actor = await self._actor(job)
            async with hub.database.transaction() as session:
                for at in waiting:
                    body = job.bodies[at]
                    allow_create(hub, actor, body)
                    made[at] = (await create(hub, session, actor, body, job.found[at])).id
        except HubError as error:
            for other in waiting:
                self._say(job, other, "failed", message="Nothing was added.", code="list-not-added")
            if at >= 0:
                self._refuse(job, at, "failed", error)
            return
        for at, camera_id in made.items():
            self._say(job, at, "created", camera_id=camera_id)

    async def _actor(self, job: _Job) -> Actor | None:
        """Return who imports, as they are now: rights may be taken away meanwhile."""
        if job.actor is None:
            return None
        now = await actor_now(self._hub, job.actor)
        if now is None:
            raise UnauthenticatedError(
                "Whoever imports is no longer signed in.", remedy="Sign in and begin again."
            )
        return now

    def _say(
        self,
        job: _Job,
        at: int,
        state: Literal["ok", "exists", "failed", "created"],
        *,
        message: str = "",
        code: str = "",
        camera_id: UUID | None = None,
    ) -> None:
        row = job.rows[at]
        row.state, row.message, row.code, row.camera_id = state, message, code, camera_id
        row.params = {}
        if state == "exists":
            job.bodies.pop(at, None)

    def _refuse(
        self, job: _Job, at: int, state: Literal["invalid", "failed"], error: HubError
    ) -> None:
        row = job.rows[at]
        row.state, row.message, row.code = state, str(error), error.code
        row.params = {}
        job.bodies.pop(at, None)


async def _break_off(job: _Job) -> None:
    if job.task is not None and not job.task.done():
        job.task.cancel()
        with suppress(asyncio.CancelledError):
            await job.task
    _end(job, "cancelled")


def _end(job: _Job, state: Literal["done", "cancelled"]) -> None:
    """Forget the passwords of the list."""
    if job.state == "running":
        job.state = state
    job.bodies.clear()
    job.found.clear()


def _describe(job: _Job) -> ImportOut:
    return ImportOut(
        id=job.id,
        state=job.state,
        dry_run=job.dry_run,
        done=job.done,
        total=len(job.rows),
        created=sum(row.state == "created" for row in job.rows),
        rows=[row.model_copy() for row in job.rows],
    )
