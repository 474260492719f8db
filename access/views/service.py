"""View records: opened before the first frame of anything, closed when it stops.

The caller opens `database.transaction()` around `open_view` and lets the first frame leave only
after that block has ended well: if the record cannot be committed, nothing is shown.
"""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.policy.types import Actor
from access.views import repository
from access.views.models import ViewRecord
from core.clock import Clock
from core.errors import ForbiddenError
from core.ids import new_id

ViewKind = Literal["live", "snapshot", "incident_image"]


class Views:
    """Writes and lists view records."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def open_view(
        self,
        session: AsyncSession,
        *,
        actor: Actor,
        camera_id: UUID,
        area: str,
        kind: ViewKind,
        purpose: str = "",
        incident_id: UUID | None = None,
    ) -> UUID:
        """Write that `actor` begins to see the camera's pictures, and return the record's id.

        A snapshot or an incident's picture ends when it begins.

        Raises:
            ForbiddenError: the actor is no account; pictures are for people who can be named.
        """
        if actor.kind != "account" or actor.id is None:
            raise ForbiddenError(
                "Pictures are shown to signed-in accounts only.",
                remedy="Sign in with an account that may see this camera.",
            )
        now = self._clock.now()
        record = ViewRecord(
            id=new_id(),
            account_id=actor.id,
            session_id=actor.session_id,
            camera_id=camera_id,
            area=area,
            kind=kind,
            purpose=purpose[:200],
            incident_id=incident_id,
            started_at=now,
            ended_at=None if kind == "live" else now,
        )
        await repository.add(session, record)
        return record.id

    async def close_view(self, session: AsyncSession, view_id: UUID) -> None:
        """Write that the viewing has stopped now; a second call changes nothing."""
        await repository.end(session, view_id, self._clock.now())

    async def close_abandoned(self, session: AsyncSession) -> int:
        """End every live viewing that a killed process left open; call it before serving.

        Returns how many there were. Only for a node whose API is the only one of the site.
        """
        return await repository.end_all_live(session, self._clock.now())

    async def page(
        self,
        session: AsyncSession,
        *,
        areas: Sequence[str],
        camera_id: UUID | None = None,
        account_id: UUID | None = None,
        before: UUID | None = None,
        limit: int = 50,
    ) -> list[tuple[ViewRecord, Account]]:
        """Return at most `limit` records of `areas` with their viewers, newest first."""
        return await repository.page(
            session,
            areas=areas,
            camera_id=camera_id,
            account_id=account_id,
            before=before,
            limit=limit,
        )
