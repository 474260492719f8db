"""Every decision about households: who comes in, who leaves, which home a camera may belong to.

How many cameras a household has is known a floor above and handed in. Nothing here commits.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts import repository as account_rows
from access.accounts.models import Account
from access.accounts.names import normalise_username
from access.accounts.resets import reset_at
from access.accounts.roles import bindings_of
from access.accounts.schemas import AccountBrief
from access.households import repository
from access.households.models import Household, HouseholdMember
from access.households.schemas import HouseholdOut, MemberOut, PasswordReset
from access.ledger.service import Ledger
from access.policy.areas import normalise_area
from access.policy.types import Actor, Resource, Role
from core.clock import Clock
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.ids import new_id

SEES_NO_VIDEO = frozenset({Role.ADMINISTRATOR, Role.AUDITOR})
"""Who holds one of these belongs to no household and is given no consent."""


def resource_of(household: Household) -> Resource:
    """Return `household` as what is asked for."""
    identity = str(household.id)
    return Resource("household", id=identity, area=household.area, household=identity)


def brief(account: Account) -> AccountBrief:
    """Return who somebody is."""
    return AccountBrief(id=account.id, username=account.username, display_name=account.display_name)


def check_sees_video(account: Account) -> None:
    """Refuse an account that is to see no video.

    Raises:
        ConflictError: code `conflicting-roles`.
    """
    held = {binding.role for binding in bindings_of(account)} & SEES_NO_VIDEO
    if held:
        raise ConflictError(
            f"'{account.username}' is {min(held).value}; such an account sees no video.",
            remedy="Give the person a second account without that role.",
            code="conflicting-roles",
        )


@dataclass(frozen=True, slots=True)
class HomePlace:
    """Where a camera is, as far as households are concerned."""

    place_kind: str
    household_id: UUID | None


class Households:
    """Decides about households."""

    def __init__(self, clock: Clock, ledger: Ledger) -> None:
        self._clock = clock
        self._ledger = ledger

    async def create(
        self, session: AsyncSession, actor: Actor | None, *, name: str, area: str
    ) -> Household:
        """Make a household without members.

        Raises:
            InvalidInputError: the area cannot be used.
        """
        household = Household(
            id=new_id(), name=name, area=normalise_area(area), created_at=self._clock.now()
        )
        await repository.add(session, household)
        await self._note(session, "household.created", actor, household, name=name)
        return household

    async def get(self, session: AsyncSession, household_id: UUID) -> Household:
        """Return the household.

        Raises:
            NotFoundError: there is none with this id.
        """
        return _found(await repository.by_id(session, household_id))

    async def locked(self, session: AsyncSession, household_id: UUID) -> Household:
        """Return the household to be changed in this transaction.

        Raises:
            NotFoundError: there is none with this id.
        """
        return _found(await repository.by_id_locked(session, household_id))

    async def add_member(
        self,
        session: AsyncSession,
        actor: Actor | None,
        household: Household,
        *,
        username: str,
        cameras: int,
    ) -> None:
        """Let an account into the household, which is `locked`. Coming in twice changes nothing.

        `actor` None is the command line, which may do what an administrator may.

        Raises:
            ConflictError: `household-closed`, `conflicting-roles`, or `household-has-members`:
                whoever lives there decides who else does.
            InvalidInputError: code `unknown-account`.
        """
        _check_open(household)
        present = await repository.member_ids(session, household.id)
        lives_here = actor is not None and household.id in actor.households
        if not lives_here and (present or cameras):
            raise ConflictError(
                f"{household.name} has members or cameras already.",
                remedy="Who lives there lets others in. If they have moved out, close the "
                "household and make a new one.",
                code="household-has-members",
            )
        account = await account_rows.by_username(session, normalise_username(username))
        if account is None or not account.active:
            raise InvalidInputError(
                f"There is no account '{username[:64]}' in use.",
                remedy="Check the username; an administrator makes accounts.",
                code="unknown-account",
            )
        check_sees_video(account)
        if account.id in present:
            return
        await repository.add(
            session,
            HouseholdMember(
                household_id=household.id,
                account_id=account.id,
                since=self._clock.now(),
                added_by=None if actor is None else actor.id,
            ),
        )
        await self._note(
            session, "household.member_added", actor, household, account_id=str(account.id)
        )

    async def remove_member(
        self,
        session: AsyncSession,
        actor: Actor,
        household: Household,
        account_id: UUID,
        *,
        cameras: int,
    ) -> None:
        """Take a member out of the household, which is `locked`.

        Raises:
            NotFoundError: the account is no member.
            ConflictError: code `last-member`: nobody would be left to decide about its cameras.
        """
        present = await repository.member_ids(session, household.id)
        if account_id not in present:
            raise NotFoundError(
                "This account does not live in the household.", remedy="Reload the household."
            )
        if present == {account_id} and cameras:
            raise ConflictError(
                "The last member cannot leave a household that has cameras.",
                remedy="Have the cameras removed first, or an administrator close the household.",
                code="last-member",
            )
        await repository.remove(session, household.id, account_id)
        await self._note(
            session, "household.member_removed", actor, household, account_id=str(account_id)
        )

    async def close(
        self, session: AsyncSession, actor: Actor | None, household: Household, *, cameras: int
    ) -> None:
        """Write that the household, which is `locked`, has moved out; a second time is nothing.

        The caller has switched its cameras off and ended its grants in the same transaction.
        """
        if household.closed_at is not None:
            return
        members = await repository.member_ids(session, household.id)
        await repository.remove(session, household.id, None)
        await repository.close(session, household, self._clock.now())
        await self._note(
            session, "household.closed", actor, household, members=len(members), cameras=cameras
        )

    async def page(
        self,
        session: AsyncSession,
        *,
        areas: Sequence[str] = ("",),
        own: Collection[UUID] = (),
        after: UUID | None = None,
        limit: int = 50,
    ) -> list[Household]:
        """Return at most `limit` households of `areas`, or of `own`."""
        return await repository.page(session, areas=areas, own=own, after=after, limit=limit)

    async def describe(
        self, session: AsyncSession, rows: Sequence[Household], cameras: dict[UUID, int]
    ) -> list[HouseholdOut]:
        """Return `rows` as they go over the wire; `cameras` counts those of each."""
        members: dict[UUID, list[MemberOut]] = {}
        for member, account in await repository.members(session, [row.id for row in rows]):
            members.setdefault(member.household_id, []).append(
                MemberOut(
                    account=brief(account), since=member.since, password_reset=_reset(account)
                )
            )
        return [
            HouseholdOut(
                id=row.id,
                name=row.name,
                area=row.area,
                members=members.get(row.id, []),
                cameras=cameras.get(row.id, 0),
                closed_at=row.closed_at,
            )
            for row in rows
        ]

    async def check_home(
        self, session: AsyncSession, wanted: HomePlace, before: HomePlace | None = None
    ) -> None:
        """Refuse a camera that would be a home camera of nobody, or would stop being one.

        `before` is the place of a camera that is being changed. A home never becomes another
        kind of place, nor another household's: that would open it without the consent of anybody.

        Raises:
            InvalidInputError: `household-needed`, `household-not-home`, `unknown-household`,
                `household-closed` or `household-without-member`.
            ConflictError: code `home-stays-home`.
        """
        if before is not None and before.place_kind == "home" and wanted != before:
            raise ConflictError(
                "A home camera stays the camera of its household.",
                remedy="Delete it, and add it anew at its new place.",
                code="home-stays-home",
            )
        if wanted.place_kind != "home":
            if wanted.household_id is not None:
                raise _invalid(
                    "household-not-home",
                    "Only a home camera belongs to a household.",
                    "Leave the household out, or say that the camera looks into a home.",
                )
            return
        if wanted.household_id is None:
            raise _invalid(
                "household-needed",
                "A home camera belongs to a household.",
                "Name the household; make it first if there is none.",
            )
        household = await repository.by_id(session, wanted.household_id)
        if household is None:
            raise _invalid(
                "unknown-household", "There is no such household.", "Reload the list of households."
            )
        if household.closed_at is not None:
            raise _invalid(
                "household-closed",
                f"{household.name} has moved out.",
                "Choose the household that lives there now.",
            )
        if not await repository.member_ids(session, household.id):
            raise _invalid(
                "household-without-member",
                f"{household.name} has no member yet, so nobody could consent.",
                "Let its first member in, then add the camera.",
            )

    async def _note(
        self,
        session: AsyncSession,
        kind: str,
        actor: Actor | None,
        household: Household,
        **data: str | int,
    ) -> None:
        await self._ledger.append(
            session,
            kind,
            actor=actor,
            area=household.area,
            subject=str(household.id),
            data=data,
        )


def _reset(account: Account) -> PasswordReset | None:
    at = reset_at(account)
    return None if at is None else PasswordReset(at=at, by=account.password_set_by or "")


def _check_open(household: Household) -> None:
    if household.closed_at is not None:
        raise ConflictError(
            f"{household.name} has moved out.",
            remedy="Make a new household for those who live there now.",
            code="household-closed",
        )


def _found(household: Household | None) -> Household:
    if household is None:
        raise NotFoundError("There is no such household.", remedy="Reload the list of households.")
    return household


def _invalid(code: str, message: str, remedy: str) -> InvalidInputError:
    return InvalidInputError(message, remedy=remedy, code=code)
