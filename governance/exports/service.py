"""Decisions on exports: who may take which step, and in which order steps may come.

Whether the policy permits a step is the door's to say; here stands what holds for everybody:
nobody approves what they asked for, and nothing leaves before it is approved or after it expired.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.ledger.service import Ledger
from access.policy.types import Actor
from core.clock import Clock
from core.errors import ConflictError, ForbiddenError, HubError, InvalidInputError, NotFoundError
from core.ids import new_id
from governance.attachments import repository as attachments
from governance.exports import repository
from governance.exports.models import ExportRequest
from governance.exports.notes import Notes, wrong_state
from governance.exports.previews import AGAIN, Previews
from governance.exports.schemas import ExportCreate, Rendition, Step
from governance.incidents.models import Incident
from governance.outbox import service as outbox

STALE = timedelta(minutes=5)
"""After this long without an end a build counts as killed and is begun again."""


UNDECIDED = timedelta(days=14)
"""What nobody has decided on for so long is over, and what was prepared for it goes."""
MOST_UNDECIDED = 10
"""Each may cost an hour of blurring and the size of its recordings."""


class ExportExpiredError(HubError):
    """The export could be downloaded once, and cannot any more (410)."""

    status = 410
    code = "export-expired"


@dataclass(frozen=True, slots=True)
class Shown:
    """Whose pictures are exported, as it is when they are asked for.

    `area` is one that holds everything in it; `camera_id` is that of the incident's pictures.
    """

    area: str
    camera_id: UUID | None
    name: str
    place_kind: str
    household_id: UUID | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A camera whose recordings are asked for, as it is then, and from when to when."""

    camera_id: UUID
    name: str
    area: str
    place_kind: str
    household_id: UUID | None
    start: datetime
    end: datetime

    def to_json(self) -> dict[str, str | None]:
        """Return what the row keeps of it."""
        return {
            "camera_id": str(self.camera_id),
            "name": self.name,
            "area": self.area,
            "place_kind": self.place_kind,
            "household_id": None if self.household_id is None else str(self.household_id),
            "from": self.start.isoformat(),
            "to": self.end.isoformat(),
            "lock_id": None,
        }


@dataclass(frozen=True, slots=True)
class Asked:
    """What an export is to hold, and what for."""

    incident: Incident | None
    shown: Shown
    recorded: Sequence[Recorded]
    purpose: str
    reference: str

    rendition: Rendition = "raw"


class Exports:
    """Takes the steps. The caller commits."""

    def __init__(self, clock: Clock, ledger: Ledger, directory: Path) -> None:
        self._clock = clock
        self._notes = Notes(clock, ledger)
        self.previews = Previews(clock, self._notes)
        self.directory = directory

    def path(self, export_id: UUID) -> Path:
        """Return where the file of an export lies."""
        return self.directory / f"{export_id}.zip"

    def prepared_path(self, export_id: UUID) -> Path:
        """Return the folder of what the second person looks at."""
        return self.directory / f"{export_id}.prepared"

    async def get(self, session: AsyncSession, export_id: UUID) -> ExportRequest:
        """Return an export; raises NotFoundError."""
        row = await repository.by_id(session, export_id)
        if row is None:
            raise _no_such()
        return row

    async def locked(self, session: AsyncSession, export_id: UUID) -> ExportRequest:
        """Return an export, locked until the commit; raises NotFoundError."""
        await outbox.serialise(session)
        row = await repository.by_id_locked(session, export_id)
        if row is None:
            raise _no_such()
        return row

    async def request(
        self, session: AsyncSession, actor: Actor, wish: ExportCreate, asked: Asked
    ) -> ExportRequest:
        """Write that `actor` asks for pictures of an incident, recordings, or both.

        Raises:
            InvalidInputError: `no-pictures` or `unknown-picture`.
            ForbiddenError: a service asks.
            ConflictError: `too-many-undecided`: others of this account wait to be decided on.
        """
        if actor.kind != "account" or actor.id is None:
            raise ForbiddenError("Pictures are handed out to people who can be named.")
        await outbox.serialise(session)
        if await repository.undecided(session, actor.id) >= MOST_UNDECIDED:
            raise ConflictError(
                f"{MOST_UNDECIDED} exports that you asked for wait for a second person.",
                remedy="Have one of them decided, or withdraw it.",
                code="too-many-undecided",
            )
        wanted = await _pictures(session, wish, asked)
        now, incident, shown = self._clock.now(), asked.incident, asked.shown
        row = ExportRequest(
            id=new_id(),
            year=now.year,
            ordinal=await repository.next_ordinal(session, now.year),
            incident_id=None if incident is None else incident.id,
            incident_number="" if incident is None else incident.number,
            area=shown.area,
            camera_id=shown.camera_id,
            camera_name=shown.name,
            place_kind=shown.place_kind,
            household_id=shown.household_id,
            attachment_ids=[str(one) for one in wanted[:200]],
            recordings=[one.to_json() for one in asked.recorded],
            rendition=asked.rendition,
            sound=wish.sound,
            purpose=asked.purpose,
            reference=asked.reference,
            reason=wish.reason,
            audience=wish.audience,
            expires_in_days=wish.expires_in_days,
            state="requested",
            requested_by=actor.id,
            requested_at=now,
        )
        await repository.add(session, row)
        spans = [f"{o['camera_id']} {o['from']} {o['to']}" for o in row.recordings]
        await self._notes.tell(
            session,
            row,
            actor,
            incident=row.incident_number,
            purpose=row.purpose,
            reference=row.reference,
            reason=row.reason,
            audience=row.audience,
            pictures=len(row.attachment_ids),
            recordings="; ".join(spans),
            rendition=row.rendition,
            sound=row.sound,
            expires_in_days=row.expires_in_days,
        )
        return row

    async def progress(self, session: AsyncSession, export_id: UUID, percent: int) -> bool:
        """Write how far the building or preparing is; False: nobody wants it any more."""
        row = await repository.by_id_locked(session, export_id)
        if row is None or row.state not in {"building", "requested"}:
            return False
        row.progress, row.claimed_at = percent, self._clock.now()
        return True

    async def decide(
        self, session: AsyncSession, row: ExportRequest, actor: Actor, note: str, *, approve: bool
    ) -> None:
        """Approve or refuse `row`, which is locked.

        Raises:
            ForbiddenError: `second-person-needed`: the actor asked for it.
            ConflictError: it is decided already; `not-prepared` or `not-looked-at`: people are
                blurred in it, and the actor has not looked whether they are.
        """
        if actor.id == row.requested_by:
            raise ForbiddenError(
                "You asked for this export yourself.",
                remedy="Somebody else has to approve or refuse it.",
                code="second-person-needed",
            )
        if row.state != "requested":
            raise wrong_state(row)
        if approve and row.blurred:
            await self.previews.check_looked(session, row, actor)
        row.state = "approved" if approve else "refused"
        row.decided_by = actor.id
        row.decided_at = self._clock.now()
        row.note = note
        await self._notes.tell(session, row, actor, note=note)

    async def withdraw(
        self, session: AsyncSession, row: ExportRequest, actor: Actor, note: str
    ) -> None:
        """Take `row`, which is locked, back; the caller removes its file after the commit.

        Raises:
            ConflictError: there is nothing to take back any more.
        """
        if row.state not in {"requested", "approved", "building", "ready"}:
            raise wrong_state(row)
        row.state = "withdrawn"
        await self._notes.tell(session, row, actor, note=note)

    def check_downloadable(self, row: ExportRequest, actor: Actor) -> None:
        """Raise unless `actor` may have the file now.

        Raises:
            ForbiddenError: `not-requester`: somebody else asked for it.
            ExportExpiredError: its time is over, or it was taken back.
            ConflictError: it is not built yet, or was refused.
        """
        if actor.id != row.requested_by:
            raise ForbiddenError(
                "An export is handed to the person who asked for it, and to nobody else.",
                remedy="Ask for one of your own.",
                code="not-requester",
            )
        over = row.state == "ready" and _is_over(row, self._clock.now())
        if over or row.state in {"expired", "withdrawn"}:
            raise ExportExpiredError(
                "The export's time is over; its file is deleted.", remedy="Ask for a new one."
            )
        if row.state != "ready":
            raise wrong_state(row)

    async def downloaded(self, session: AsyncSession, row: ExportRequest, actor: Actor) -> None:
        """Write that `actor` gets the file now; call it last."""
        await self._notes.note(session, row, actor, "export.downloaded", sha256=row.sha256)

    async def claim(self, session: AsyncSession, *, stale: timedelta = STALE) -> UUID | None:
        """Mark the next export that is to be built or prepared, and return its id."""
        await outbox.serialise(session)
        now = self._clock.now()
        found = await repository.to_build(session, now - stale, now - AGAIN)
        row = None if found is None else await repository.by_id_locked(session, found)
        if row is None:
            return None
        if row.state != "requested":
            row.state = "building"
        row.claimed_at, row.progress = now, 0
        return row.id

    async def built(self, session: AsyncSession, export_id: UUID, *, size: int, sha: str) -> bool:
        """Write that the file is there; False if it is not wanted any more."""
        row = await self.locked(session, export_id)
        if row.state != "building":
            return False
        row.state = "ready"
        row.ready_at = self._clock.now()
        row.expires_at = row.ready_at + timedelta(days=row.expires_in_days)
        row.size, row.sha256, row.progress = size, sha, 100
        await self._notes.tell(
            session, row, None, sha256=sha, expires_at=row.expires_at.isoformat()
        )
        return True

    async def failed(self, session: AsyncSession, export_id: UUID, why: str) -> None:
        """Write that nothing can be handed out, and why."""
        row = await self.locked(session, export_id)
        if row.state not in {"building", "requested"}:
            return
        row.state, row.failure = "failed", why[:500]
        await self._notes.tell(session, row, None, why=row.failure)

    def undecided_since(self) -> datetime:
        """Return when what is undecided must have been asked for, to be over now."""
        return self._clock.now() - UNDECIDED

    async def expire(self, session: AsyncSession, ids: Sequence[UUID]) -> None:
        """Write that these are over; the caller deletes the files after the commit."""
        for export_id in sorted(ids):
            row = await self.locked(session, export_id)
            over = row.state == "ready" and _is_over(row, self._clock.now())
            left = row.state == "requested" and row.requested_at <= self.undecided_since()
            if over or left:
                row.state = "expired"
                await self._notes.tell(session, row, None)

    def steps(
        self, row: ExportRequest, actor: Actor, *, approver: bool, looked: bool
    ) -> list[Step]:
        """Return the steps that `actor` may take now, as far as it lies in the state.

        `approver` says that the policy lets the actor approve exports of this area, `looked` that
        the actor has looked at what was prepared.
        """
        own = actor.id == row.requested_by
        steps: list[Step] = []
        if row.state == "requested" and approver and not own:
            if row.prepared:
                steps.append("preview")
            if not row.blurred or (row.prepared and looked):
                steps.append("approve")
            steps.append("refuse")
        if row.state in {"requested", "approved", "building", "ready"} and (own or approver):
            steps.append("withdraw")
        if row.state == "ready" and own and not _is_over(row, self._clock.now()):
            steps.append("download")
        return steps


async def _pictures(session: AsyncSession, wish: ExportCreate, asked: Asked) -> list[UUID]:
    """Return the pictures that are asked for; none only where recordings are."""
    there: list[UUID] = []
    if asked.incident is not None:
        # Pictures of cameras: what people took of the result is not under its masks and consents.
        there = [
            row.id
            for row in await attachments.of_incident(session, asked.incident.id)
            if row.kind == "signal"
        ]
    chosen = there if wish.attachment_ids is None else wish.attachment_ids
    wanted = list(dict.fromkeys(chosen))
    if not wanted and not asked.recorded:
        raise InvalidInputError(
            "There are no pictures to hand out.",
            remedy="Choose pictures of an incident that has some, or recordings.",
            code="no-pictures",
        )
    if not set(wanted) <= set(there):
        raise InvalidInputError(
            "A picture does not belong to the incident.",
            remedy="Reload the incident.",
            code="unknown-picture",
        )
    return wanted


def _is_over(row: ExportRequest, now: datetime) -> bool:
    return row.expires_at is not None and row.expires_at <= now


def _no_such() -> NotFoundError:
    return NotFoundError("There is no such export.", remedy="Reload the list.")
