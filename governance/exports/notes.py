"""What is told and written down of exports, and what is said when a step does not fit."""

from sqlalchemy.ext.asyncio import AsyncSession

from access.ledger.service import JsonScalar, Ledger
from access.policy.types import Actor
from core.clock import Clock
from core.errors import ConflictError
from governance.exports.models import ExportRequest
from governance.outbox import service as outbox


class Notes:
    """Tells consoles and the ledger. The caller commits."""

    def __init__(self, clock: Clock, ledger: Ledger) -> None:
        self._clock = clock
        self._ledger = ledger

    async def tell(
        self,
        session: AsyncSession,
        row: ExportRequest,
        actor: Actor | None,
        *,
        kind: str = "",
        **data: JsonScalar,
    ) -> None:
        """Tell the consoles, then the ledger, whose lock is the last one taken."""
        await self.announce(session, row)
        await self.note(session, row, actor, kind or f"export.{row.state}", **data)

    async def announce(self, session: AsyncSession, row: ExportRequest) -> None:
        """Tell the consoles that something has changed."""
        await session.flush()
        await outbox.append(
            session,
            type="export.changed",
            area=row.area,
            payload={"export_id": str(row.id), "number": row.number, "state": row.state},
            at=self._clock.now(),
        )

    async def note(
        self,
        session: AsyncSession,
        row: ExportRequest,
        actor: Actor | None,
        kind: str,
        **data: JsonScalar,
    ) -> None:
        """Append to the ledger."""
        await self._ledger.append(
            session,
            kind,
            actor=actor,
            area=row.area,
            subject=str(row.id),
            data={"number": row.number, **data},
        )


def wrong_state(row: ExportRequest) -> ConflictError:
    """Return what is said of a step that does not fit."""
    return ConflictError(
        f"The export is {row.state}; this step does not fit.",
        remedy="Reload it.",
        code="export-state",
    )
