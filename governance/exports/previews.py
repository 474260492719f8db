"""What the second person looks at before blurred pictures and recordings leave.

A program blurs whom it finds; whether it found everybody only a person can see. So what would leave
is made first and shown to whoever decides, and nothing else leaves afterwards: the hash of what was
prepared is in the row, in the ledger's entry of who looked, and compared before it is packed.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.types import Actor
from core.clock import Clock
from core.errors import ConflictError, ForbiddenError
from governance.exports import repository
from governance.exports.models import ExportRequest
from governance.exports.notes import Notes, wrong_state
from governance.outbox import service as outbox

AGAIN = timedelta(minutes=1)
"""After this long what could not be prepared is tried again."""


LOOKING = timedelta(hours=2)
"""How long a preview that was opened can be looked at; then it is opened, and noted, again."""


class Previews:
    """Takes the steps of looking. The caller commits."""

    def __init__(self, clock: Clock, notes: Notes) -> None:
        self._clock = clock
        self._notes = notes

    async def check_looked(self, session: AsyncSession, row: ExportRequest, actor: Actor) -> None:
        """Raise unless `actor` has looked at what was prepared.

        Raises:
            ConflictError: `not-prepared` or `not-looked-at`.
        """
        check_prepared(row)
        _, sha = (await repository.previews_of(session, [row.id], actor.id)).get(row.id, (None, ""))
        if sha != row.sha256 or not all_opened(row, actor):
            raise ConflictError(
                "You have not looked at all that would be handed out.",
                remedy="Look at the preview: only a person can see whether everybody is blurred.",
                code="not-looked-at",
            )

    async def previewed(
        self, session: AsyncSession, row: ExportRequest, actor: Actor, *, files: int
    ) -> datetime:
        """Write that `actor` looks at what would leave, so many files; call it last.

        Returns until when they may.

        Raises:
            ForbiddenError: `second-person-needed`: the actor asked for it.
            ConflictError: `not-prepared`, or it is decided.
        """
        if actor.id == row.requested_by:
            raise ForbiddenError(
                "You asked for this export yourself.",
                remedy="Somebody else has to look at it.",
                code="second-person-needed",
            )
        if row.state != "requested":
            raise wrong_state(row)
        check_prepared(row)
        before = (row.previews or {}).get(str(actor.id), {"opened": []})
        row.previews = {**(row.previews or {}), str(actor.id): {**before, "of": files}}
        await self._notes.note(session, row, actor, "export.previewed", sha256=row.sha256)
        return self._clock.now() + LOOKING

    async def opened(
        self, session: AsyncSession, export_id: UUID, actor: Actor, number: int
    ) -> None:
        """Write that `actor` opens a file of what would leave."""
        row = await _locked(session, export_id)
        mine = None if row is None else (row.previews or {}).get(str(actor.id))
        if row is None or mine is None or number in mine["opened"]:
            return
        opened = {**mine, "opened": sorted([*mine["opened"], number])}
        row.previews = {**(row.previews or {}), str(actor.id): opened}

    async def check_looking(self, session: AsyncSession, row: ExportRequest, actor: Actor) -> None:
        """Raise unless `actor` has begun to look at what would leave, and not too long ago.

        Raises:
            ConflictError: `not-prepared` or `not-looked-at`.
        """
        check_prepared(row)
        at, sha = (await repository.previews_of(session, [row.id], actor.id)).get(
            row.id, (None, "")
        )
        if at is None or sha != row.sha256 or self._clock.now() - at > LOOKING:
            raise ConflictError(
                "This preview was not opened, or too long ago.",
                remedy="Open the preview again.",
                code="not-looked-at",
            )

    async def prepared(self, session: AsyncSession, export_id: UUID, sha: str) -> bool:
        """Write that somebody can look at it; False if it is not wanted any more.

        `sha` is that of the list of what was prepared.
        """
        row = await _locked(session, export_id)
        if row is None or row.state != "requested":
            return False
        row.sha256, row.progress, row.failure, row.previews = sha, 100, "", None
        await self._notes.tell(session, row, None, kind="export.prepared", sha256=sha)
        return True

    def prepare_anew(self, row: ExportRequest) -> None:
        """Forget what was prepared of `row`, which is locked: it may not be shown any more."""
        row.sha256, row.progress, row.claimed_at, row.failure = None, 0, None, ""
        row.previews = None

    async def postponed(self, session: AsyncSession, export_id: UUID, why: str) -> None:
        """Write why it cannot be prepared now; it is tried again after `AGAIN`."""
        row = await _locked(session, export_id)
        if row is None or row.state != "requested":
            return
        row.claimed_at, row.progress, row.failure = self._clock.now(), 0, why[:500]
        await self._notes.announce(session, row)


def has_opened(row: ExportRequest, actor: Actor, number: int) -> bool:
    """Return whether it is on record that `actor` opened this file of what was prepared."""
    return number in (row.previews or {}).get(str(actor.id), {"opened": []})["opened"]


def all_opened(row: ExportRequest, actor: Actor) -> bool:
    """Return whether `actor` has opened every file of what was prepared."""
    mine = (row.previews or {}).get(str(actor.id))
    return mine is not None and len(mine["opened"]) >= mine["of"]


def check_prepared(row: ExportRequest) -> None:
    """Raise unless there is something to look at.

    Raises:
        ConflictError: `not-prepared`.
    """
    if not row.prepared:
        raise ConflictError(
            "The blurred copy is being made; there is nothing to look at yet.",
            remedy="Wait until it is done. How far it is shows at the export.",
            code="not-prepared",
        )


async def _locked(session: AsyncSession, export_id: UUID) -> ExportRequest | None:
    await outbox.serialise(session)
    return await repository.by_id_locked(session, export_id)
