"""View records: opened before the first frame of anything, closed when it stops.

The caller opens `database.transaction()` around `open_view` and lets the first frame leave only
after that block has ended well: if the record cannot be committed, nothing is shown.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.ledger.service import Ledger
from access.policy.areas import covers
from access.policy.types import Actor, Role
from access.views import repository
from access.views.models import ViewRecord
from access.views.schemas import ViewKind
from core.clock import Clock
from core.errors import ForbiddenError
from core.ids import new_id

_LASTING = frozenset({"live", "playback"})
"""Kinds of viewings that go on for a while; the others end when they begin."""


_ROLES = (
    Role.SUPERVISOR,
    Role.DUTY_STAFF,
    Role.OPERATOR,
    Role.PATROL,
    Role.DEPARTMENT,
    Role.RESIDENT,
)


def role_of(actor: Actor, area: str, household_id: UUID | None, *, invited: bool) -> str:
    """Return as what `actor` looks at a camera in `area`.

    "household" in the own home, else the first role held there, else "guest" of a household.
    """
    if household_id is not None and household_id in actor.households:
        return "household"
    held = {binding.role for binding in actor.bindings if covers(binding.area, area)}
    found = next((role.value for role in _ROLES if role in held), "")
    return "guest" if invited and found in {"", "resident"} else found


class Views:
    """Writes and lists view records, and tells the ledger of each."""

    def __init__(self, clock: Clock, ledger: Ledger) -> None:
        self._clock = clock
        self._ledger = ledger

    async def open_view(
        self,
        session: AsyncSession,
        *,
        actor: Actor,
        camera_id: UUID,
        area: str,
        kind: ViewKind,
        purpose: str = "",
        reference: str = "",
        grant_id: UUID | None = None,
        incident_id: UUID | None = None,
        redacted: bool = False,
        sound: bool = False,
        household_id: UUID | None = None,
        place_kind: str = "",
    ) -> UUID:
        """Write that `actor` begins to see the camera's pictures, and return the record's id.

        Only live view and playback last; a picture ends when it begins. The entry in the ledger
        is the last thing written: call it at the end of a transaction.

        Args:
            session: a session within `database.transaction()`.
            actor: who looks.
            camera_id: the camera, also one that is gone.
            area: the camera's area.
            kind: how it is looked at.
            purpose: a key of `access.views.purposes`, or "" where none is needed.
            reference: what the purpose refers to.
            grant_id: the consent under which it is open.
            incident_id: the incident that it is looked at for.
            redacted: people and vehicles are blurred in what leaves.
            sound: it is heard too.
            household_id: the household whose home it is.
            place_kind: the kind of place that the camera shows.

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
            reference=reference[:80],
            grant_id=grant_id,
            redacted=redacted,
            sound=sound,
            household_id=household_id,
            place_kind=place_kind,
            role=role_of(actor, area, household_id, invited=grant_id is not None),
            incident_id=incident_id,
            started_at=now,
            ended_at=None if kind in _LASTING else now,
        )
        await repository.add(session, record)
        await self._ledger.append(
            session,
            "view.opened",
            actor=actor,
            area=area,
            subject=str(camera_id),
            data={
                "view_id": str(record.id),
                "kind": kind,
                "purpose": record.purpose,
                "reference": record.reference,
                "grant_id": None if grant_id is None else str(grant_id),
                "incident_id": None if incident_id is None else str(incident_id),
                "redacted": redacted,
                "sound": sound,
            },
        )
        return record.id

    async def close_view(self, session: AsyncSession, view_id: UUID) -> None:
        """Write that the viewing has stopped now; a second call changes nothing."""
        record = await repository.end(session, view_id, self._clock.now())
        if record is not None:
            await self._note_end(session, record)

    async def close_abandoned(self, session: AsyncSession) -> int:
        """End every live viewing that a killed process left open; call it before serving.

        Returns how many there were. Only for a node whose API is the only one of the site.
        """
        ended = await repository.end_all(session, self._clock.now())
        for record in ended:
            await self._note_end(session, record)
        return len(ended)

    async def _note_end(self, session: AsyncSession, record: ViewRecord) -> None:
        now = self._clock.now()
        await self._ledger.append(
            session,
            "view.closed",
            actor=None,
            area=record.area,
            subject=str(record.camera_id),
            data={
                "view_id": str(record.id),
                "account_id": str(record.account_id),
                "seconds": max(0.0, round((now - record.started_at).total_seconds(), 3)),
            },
        )

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
