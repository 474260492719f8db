"""Every decision about consent: given, withdrawn, and what is open to somebody at this moment.

Nothing opens a home but a grant of its household, and no role can stand in for one. Whoever asks
here again sees a withdrawal from its commit on. Nothing here commits.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Literal, cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts import repository as account_rows
from access.accounts.models import Account
from access.accounts.names import normalise_username
from access.consent import hours, repository
from access.consent.alarms import Alarms
from access.consent.models import ConsentGrant
from access.consent.schemas import GrantCreate, GrantKind, GrantOut
from access.households import repository as household_rows
from access.households.service import brief, check_sees_video
from access.ledger.service import JsonScalar, Ledger
from access.policy.types import Actor, Resource
from core.clock import Clock
from core.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from core.ids import new_id

LONGEST_SHARE = timedelta(days=366)
MOST_GRANTS = 100
"""Live grants of one camera."""


@dataclass(frozen=True, slots=True)
class LiveGrant:
    """A consent that opens a camera to somebody at this moment. `ends_at` None: no end is set."""

    id: UUID
    kind: GrantKind
    camera_id: UUID
    household_id: UUID
    redacted: bool
    ends_at: datetime | None
    incident_id: UUID | None


class Consent(Alarms):
    """Decides about consent. `zone` is the site's time zone, by which hours are read."""

    def __init__(self, clock: Clock, ledger: Ledger, zone: tzinfo) -> None:
        super().__init__(clock, ledger)
        self._zone = zone
        self._withheld: set[UUID] = set()

    async def live_grants(
        self, session: AsyncSession, actor: Actor, camera_ids: Collection[UUID] | None = None
    ) -> list[LiveGrant]:
        """Return every consent that opens a camera to `actor` at this moment, shares first.

        One query. With `camera_ids` only of those cameras.
        """
        if actor.kind != "account" or actor.id is None:
            return []
        now = self._clock.now()
        found = await repository.open_to(session, actor.id, now, camera_ids)
        return [
            LiveGrant(
                id=row.id,
                kind=cast(GrantKind, row.kind),
                camera_id=row.camera_id,
                household_id=row.household_id,
                redacted=row.redacted,
                ends_at=row.ends_at,
                incident_id=incident_id,
            )
            for row, incident_id in found
            if row.id not in self._withheld and hours.is_within(row.hours, now, self._zone)
        ]

    async def live_grant(
        self, session: AsyncSession, actor: Actor, camera_id: UUID, household_id: UUID
    ) -> LiveGrant | None:
        """Return the consent that opens this camera of this household to `actor`, or None."""
        found = await self.live_grants(session, actor, (camera_id,))
        return next((grant for grant in found if grant.household_id == household_id), None)

    async def granted_cameras(self, session: AsyncSession, actor: Actor) -> set[UUID]:
        """Return the home cameras that are open to `actor` at this moment."""
        return {grant.camera_id for grant in await self.live_grants(session, actor)}

    async def give(
        self,
        session: AsyncSession,
        actor: Actor,
        wanted: GrantCreate,
        household_id: UUID,
    ) -> ConsentGrant:
        """Write the consent that `actor`, a member of the household, gives for its camera.

        Raises:
            ForbiddenError: code `not-of-household`.
            InvalidInputError: `grantee-needed`, `unknown-account`, `end-needed`, `end-too-late`,
                `grant-has-ended`, `not-for-this-kind` or `lives-there`.
            ConflictError: `conflicting-roles`, `household-closed`, `grant-exists`,
                `too-many-grants`.
        """
        household = await household_rows.by_id_locked(session, household_id)
        # Asked of the table, under its lock: somebody may have been taken out just now.
        members = await household_rows.member_ids(session, household_id)
        if household is None or actor.id is None or actor.id not in members:
            raise ForbiddenError("Only those who live there can consent.", code="not-of-household")
        if household.closed_at is not None:
            raise ConflictError(f"{household.name} has moved out.", code="household-closed")
        now = self._clock.now()
        _check_shape(wanted, now)
        account = None
        if wanted.kind == "share":
            account = await self._grantee(session, wanted.username or "", members)
        elif await repository.live_alarm_grant(session, wanted.camera_id, now):
            raise ConflictError(
                "This camera has a standing consent for alarms already.",
                remedy="Withdraw that one to give another.",
                code="grant-exists",
            )
        if await repository.count_live(session, wanted.camera_id, now) >= MOST_GRANTS:
            raise ConflictError(
                f"This camera has {MOST_GRANTS} live grants.",
                remedy="Withdraw those that are no longer needed.",
                code="too-many-grants",
            )
        grant = ConsentGrant(
            id=new_id(),
            camera_id=wanted.camera_id,
            household_id=household_id,
            kind=wanted.kind,
            account_id=None if account is None else account.id,
            hours=hours.stored(wanted.hours),
            ends_at=wanted.ends_at,
            redacted=wanted.redacted,
            on_detection=wanted.on_detection,
            reason=wanted.reason,
            given_by=actor.id,
            given_at=now,
        )
        await repository.add(session, grant)
        await self._note(session, "grant.given", actor, grant)
        return grant

    async def get(self, session: AsyncSession, grant_id: UUID) -> ConsentGrant:
        """Return a grant.

        Raises:
            NotFoundError: there is none with this id.
        """
        grant = await repository.by_id(session, grant_id)
        if grant is None:
            raise NotFoundError("There is no such grant.", remedy="Reload the list of grants.")
        return grant

    async def resource_of(self, session: AsyncSession, grant: ConsentGrant) -> Resource:
        """Return `grant` as what is asked for."""
        household = await household_rows.by_id(session, grant.household_id)
        return Resource(
            "grant",
            id=str(grant.id),
            area="" if household is None else household.area,
            place_kind="home",
            household=str(grant.household_id),
        )

    def withhold(self, grant_id: UUID) -> None:
        """Let this grant open nothing here from now on, also if its end cannot be written."""
        self._withheld.add(grant_id)

    def withdrawn(self, grant_id: UUID) -> None:
        """Forget what `withhold` keeps: the end is committed."""
        self._withheld.discard(grant_id)

    async def withdraw(
        self, session: AsyncSession, actor: Actor | None, grant_id: UUID
    ) -> ConsentGrant:
        """Withdraw a grant, from the commit on; a second time changes nothing.

        Whoever calls this has asked the door, and cuts running views after the commit.

        Raises:
            NotFoundError: there is none with this id.
        """
        grant = await self.get(session, grant_id)
        await self._withdraw(session, actor, [grant], "")
        await session.refresh(grant)
        return grant

    async def end_of_household(
        self, session: AsyncSession, actor: Actor | None, household_id: UUID
    ) -> int:
        """End every live grant of a household that moves out; return how many there were."""
        rows = await repository.live_of(session, self._clock.now(), household_id=household_id)
        return await self._withdraw(session, actor, rows, "household closed")

    async def end_of_camera(
        self, session: AsyncSession, actor: Actor | None, camera_id: UUID
    ) -> int:
        """End every live grant of a camera that is deleted; return how many there were."""
        rows = await repository.live_of(session, self._clock.now(), camera_id=camera_id)
        return await self._withdraw(session, actor, rows, "camera deleted")

    async def page(
        self,
        session: AsyncSession,
        actor: Actor,
        *,
        camera_id: UUID | None = None,
        state: Literal["live", "ended", "all"] = "all",
        before: UUID | None = None,
        limit: int = 50,
    ) -> list[ConsentGrant]:
        """Return at most `limit` grants of the actor's households, or given to the actor."""
        return await repository.page(
            session,
            households=actor.households,
            account_id=actor.id if actor.kind == "account" else None,
            now=self._clock.now(),
            camera_id=camera_id,
            state=state,
            before=before,
            limit=limit,
        )

    async def of_household(self, session: AsyncSession, household_id: UUID) -> list[ConsentGrant]:
        """Return the live grants of a household, oldest first."""
        return await repository.live_of(session, self._clock.now(), household_id=household_id)

    async def of_actor(self, session: AsyncSession, actor: Actor) -> list[ConsentGrant]:
        """Return the live grants given to `actor` by name, newest first."""
        found = await repository.page(
            session,
            households=(),
            account_id=actor.id,
            now=self._clock.now(),
            state="live",
            limit=MOST_GRANTS,
        )
        return found if actor.id is not None else []

    async def all_live(self, session: AsyncSession, limit: int = 500) -> list[ConsentGrant]:
        """Return at most `limit` live grants of all households, newest first."""
        return await repository.everything(session, self._clock.now(), limit)

    async def describe(
        self, session: AsyncSession, rows: Sequence[ConsentGrant], names: dict[UUID, str]
    ) -> list[GrantOut]:
        """Return `rows` as they go over the wire; `names` are those of their cameras."""
        now = self._clock.now()
        wanted = {row.given_by for row in rows} | {row.account_id for row in rows if row.account_id}
        known = await repository.accounts(session, wanted) if rows else {}
        alarms = [row.id for row in rows if row.kind == "alarm"]
        answering: dict[UUID, dict[UUID, Account]] = {}
        for grant_id, account in await repository.answering(session, alarms) if alarms else ():
            answering.setdefault(grant_id, {})[account.id] = account

        def who(account_id: UUID | None) -> Account | None:
            return None if account_id is None else known.get(account_id)

        items = []
        for row in rows:
            ended_at = _ended_at(row, now)
            grantee, giver = who(row.account_id), who(row.given_by)
            answers = answering.get(row.id, {}) if ended_at is None else {}
            closed = ended_at is not None or row.id in self._withheld
            within = not closed and hours.is_within(row.hours, now, self._zone)
            items.append(
                GrantOut(
                    id=row.id,
                    camera_id=row.camera_id,
                    camera_name=names.get(row.camera_id, ""),
                    household_id=row.household_id,
                    kind=cast(GrantKind, row.kind),
                    grantee=None if grantee is None else brief(grantee),
                    given_by=None if giver is None else brief(giver),
                    hours=hours.read(row.hours),
                    ends_at=row.ends_at,
                    redacted=row.redacted,
                    on_detection=row.on_detection,
                    reason=row.reason,
                    created_at=row.given_at,
                    state="live" if ended_at is None else "ended",
                    ended_at=ended_at,
                    open_now=within and (row.kind == "share" or bool(answers)),
                    answering=[brief(account) for account in answers.values()],
                )
            )
        return items

    async def _grantee(
        self, session: AsyncSession, username: str, members: Collection[UUID]
    ) -> Account:
        account = await account_rows.by_username(session, normalise_username(username))
        if account is None or not account.active:
            raise InvalidInputError(
                f"There is no account '{username[:64]}' in use.",
                remedy="Ask the person for the name they sign in with.",
                code="unknown-account",
            )
        if account.id in members:
            raise InvalidInputError(
                f"{account.display_name} lives there and sees the camera anyway.",
                remedy="Share it with somebody else.",
                code="lives-there",
            )
        check_sees_video(account)
        return account

    async def _withdraw(
        self,
        session: AsyncSession,
        actor: Actor | None,
        rows: Sequence[ConsentGrant],
        because: str,
    ) -> int:
        by = None if actor is None else actor.id
        ended = await repository.withdraw(session, [r.id for r in rows], self._clock.now(), by)
        known = {row.id: row for row in rows}
        for grant_id in ended:
            await self._note(session, "grant.withdrawn", actor, known[grant_id], because=because)
        return len(ended)

    async def _note(
        self,
        session: AsyncSession,
        kind: str,
        actor: Actor | None,
        grant: ConsentGrant,
        *,
        because: str = "",
    ) -> None:
        area = await self._area_of(session, grant.household_id)
        data: dict[str, JsonScalar] = {
            "camera_id": str(grant.camera_id),
            "household_id": str(grant.household_id),
            "kind": grant.kind,
            "account_id": None if grant.account_id is None else str(grant.account_id),
            "ends_at": None if grant.ends_at is None else grant.ends_at.isoformat(),
            "windows": len(grant.hours),
            "redacted": grant.redacted,
            "on_detection": grant.on_detection,
        }
        if because:
            data["because"] = because
        await self._ledger.append(
            session, kind, actor=actor, area=area, subject=str(grant.id), data=data
        )


def _ended_at(grant: ConsentGrant, now: datetime) -> datetime | None:
    # Withdrawn is withdrawn, also when the clock was put back since.
    ends = [] if grant.withdrawn_at is None else [grant.withdrawn_at]
    if grant.ends_at is not None and grant.ends_at <= now:
        ends.append(grant.ends_at)
    return min(ends, default=None)


def _check_shape(wanted: GrantCreate, now: datetime) -> None:
    """Refuse what does not fit the kind of grant."""
    if wanted.ends_at is not None and wanted.ends_at <= now:
        raise _invalid("grant-has-ended", "The end lies in the past.", "Choose a later one.")
    if wanted.kind == "alarm":
        if wanted.username:
            raise _invalid(
                "not-for-this-kind",
                "A consent for alarms names nobody: it is for whoever answers the alarm.",
                "Leave the username out, or give a share instead.",
            )
        return
    if wanted.on_detection:
        raise _invalid(
            "not-for-this-kind",
            "Only a consent for alarms depends on what the camera detects.",
            "Leave `on_detection` out.",
        )
    if not wanted.username:
        raise _invalid("grantee-needed", "A share names somebody.", "Give the username.")
    if wanted.ends_at is None:
        raise _invalid("end-needed", "A share has an end.", "Say until when, at most a year.")
    if wanted.ends_at > now + LONGEST_SHARE:
        raise _invalid(
            "end-too-late", "A share lasts a year at most.", "Choose an earlier end; renew it then."
        )


def _invalid(code: str, message: str, remedy: str) -> InvalidInputError:
    return InvalidInputError(message, remedy=remedy, code=code)
