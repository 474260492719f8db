"""Who is on duty, worked out in memory from what one look at the database brought."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.policy.areas import ancestors
from access.policy.types import Role
from governance.duty import repository
from governance.duty.models import HandOver, Rota, RotaOverride, RotaSlot
from governance.duty.walltime import occurrences

POSTS = (Role.DUTY_STAFF, Role.PATROL, Role.SUPERVISOR, Role.DEPARTMENT)
"""Roles that a rota can be about."""

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class RotaBook:
    """A rota with all that says who is on it."""

    rota: Rota
    slots: Sequence[RotaSlot] = ()
    overrides: Sequence[RotaOverride] = ()
    hand_overs: Sequence[HandOver] = ()
    eligible: frozenset[UUID] = frozenset()

    @property
    def is_used(self) -> bool:
        """Whether anybody was ever put on it: an empty rota stands in the way of none."""
        return bool(self.slots or self.overrides or self.hand_overs)

    def named_at(self, at: datetime, zone: tzinfo) -> list[UUID]:
        """Return whom the rota puts on duty at an instant, of those who hold the post still.

        Slots first, each as it was handed over; then overrides; then both sides of every
        hand-over that one of them has not confirmed yet. Empty: there is a gap.
        """
        named: dict[UUID, None] = {}
        for slot in self.slots:
            for begin, end in occurrences(slot, at, at + _US, zone):
                if begin <= at < end:
                    named[self._after_hand_overs(slot.account_id, begin, at)] = None
        for change in self.overrides:
            if not change.from_at <= at < change.until_at or change.account_id not in self.eligible:
                continue
            if change.replaces_id is not None:
                named.pop(change.replaces_id, None)
            named[self._after_hand_overs(change.account_id, change.from_at, at)] = None
        for hand_over in self.hand_overs:
            if hand_over.is_open and hand_over.offered_at <= at:
                named[hand_over.from_id] = None
                named[hand_over.to_id] = None
        return [who for who in named if who in self.eligible]

    def boundaries(self, since: datetime, until: datetime, zone: tzinfo) -> list[datetime]:
        """Return the instants in (since, until] at which somebody may come or go, in order."""
        found: set[datetime] = set()
        for slot in self.slots:
            for pair in occurrences(slot, since, until, zone):
                found.update(pair)
        for change in self.overrides:
            found.update((change.from_at, change.until_at))
        for hand_over in self.hand_overs:
            found.update(at for at in (hand_over.offered_at, hand_over.done_at) if at is not None)
        return sorted(at for at in found if since < at <= until)

    def gaps(
        self, since: datetime, until: datetime, zone: tzinfo
    ) -> list[tuple[datetime, datetime]]:
        """Return the spans of [since, until) in which nobody who could be is on the rota."""
        edges = [since, *self.boundaries(since, until, zone), until]
        found: list[tuple[datetime, datetime]] = []
        for begin, end in pairwise(edges):
            if begin >= end or self.named_at(begin, zone):
                continue
            if found and found[-1][1] == begin:
                found[-1] = (found[-1][0], end)
            else:
                found.append((begin, end))
        return found

    def changes_at(self, at: datetime, zone: tzinfo, within: timedelta) -> datetime | None:
        """Return when somebody comes or goes next, or None if nobody does within the time."""
        now = set(self.named_at(at, zone))
        for edge in self.boundaries(at, at + within, zone):
            if set(self.named_at(edge, zone)) != now:
                return edge
        return None

    def _after_hand_overs(self, who: UUID, begin: datetime, at: datetime) -> UUID:
        """Return who has the hours that began at `begin` for `who`, as they were handed on."""
        done = sorted(
            (h.done_at, h.from_id, h.to_id)
            for h in self.hand_overs
            if h.done_at is not None and begin <= h.done_at <= at
        )
        for _, giver, taker in done:
            if giver == who and taker in self.eligible:
                who = taker
        return who


_US = timedelta(microseconds=1)


@dataclass(frozen=True)
class Watch:
    """Who has a post. `area` is where they were found: that of the rota, or that of their role.

    `rota` is None where there is none; `gap` says that the rota names nobody for this moment, so
    that everybody who holds the role nearest is meant.
    """

    area: str
    rota: Rota | None
    accounts: Sequence[Account]
    gap: bool = False


@dataclass(frozen=True)
class DutyBook:
    """Everything about the posts of an area and of all areas above it."""

    rotas: Sequence[RotaBook] = ()
    accounts: dict[UUID, Account] = field(default_factory=dict)
    by_post: dict[tuple[str, str], list[Account]] = field(default_factory=dict)

    def watch(self, area: str, post: Role, at: datetime, zone: tzinfo) -> Watch | None:
        """Return who has `post` in `area` at an instant; None if nobody holds it there or above.

        The rota of the area, or of the nearest area above that has one; without one everybody
        who holds the role nearest. A rota that names nobody falls through to those.
        """
        gap: RotaBook | None = None
        for place in ancestors(area):
            here = [
                each
                for each in self.rotas
                if each.rota.area == place and each.rota.post == post.value and each.is_used
            ]
            named = [who for book in here for who in book.named_at(at, zone)]
            if named:
                people = [self.accounts[who] for who in dict.fromkeys(named)]
                return Watch(place, here[0].rota, people)
            if here:
                gap = here[0]
                break
        for place in ancestors(area):
            holders = self.by_post.get((place, post.value))
            if holders:
                return Watch(place, gap.rota if gap else None, holders, gap=gap is not None)
        return None

    def levels(self, area: str, post: Role, at: datetime, zone: tzinfo) -> list[Watch]:
        """Return `watch` of the area, then of each level above that has somebody of its own."""
        found: list[Watch] = []
        place: str | None = area
        while place is not None:
            here = self.watch(place, post, at, zone)
            if here is None:
                break
            found.append(here)
            place = _above(here.area)
        return found


def _above(area: str) -> str | None:
    """Return the area above, or None above the whole site."""
    return None if area == "" else area.rpartition("/")[0]


async def load_book(
    session: AsyncSession, area: str, at: datetime, posts: Iterable[Role] = POSTS
) -> DutyBook:
    """Read what is needed to say who has which post in `area` and above it around `at`."""
    return await load_book_of(session, [area], at, posts)


async def load_book_of(
    session: AsyncSession, areas: Iterable[str], at: datetime, posts: Iterable[Role] = POSTS
) -> DutyBook:
    """Read the same for many areas: one book serves all of them."""
    places = {place for area in areas for place in ancestors(area)}
    roles = [post.value for post in posts]
    by_post: dict[tuple[str, str], list[Account]] = {}
    accounts: dict[UUID, Account] = {}
    for account, role, where in await repository.holders(session, places, roles):
        by_post.setdefault((where, role), []).append(account)
        accounts[account.id] = account
    found = [r for r in await repository.rotas_at(session, places) if r.post in roles]
    books = await _books(session, found, at, by_post)
    return DutyBook(books, accounts, by_post)


async def load_rotas(session: AsyncSession, found: Sequence[Rota], at: datetime) -> list[RotaBook]:
    """Return books of `found`, with who holds their posts now."""
    places = {place for rota in found for place in ancestors(rota.area)}
    by_post: dict[tuple[str, str], list[Account]] = {}
    for account, role, where in await repository.holders(
        session, places, {rota.post for rota in found}
    ):
        by_post.setdefault((where, role), []).append(account)
    return await _books(session, found, at, by_post)


async def _books(
    session: AsyncSession,
    found: Sequence[Rota],
    at: datetime,
    by_post: dict[tuple[str, str], list[Account]],
) -> list[RotaBook]:
    ids = [rota.id for rota in found]
    slots = await repository.slots(session, ids)
    overrides = await repository.overrides(session, ids, at - _DAY)
    hand_overs = await repository.hand_overs(session, ids, at)
    return [
        RotaBook(
            rota,
            [slot for slot in slots if slot.rota_id == rota.id],
            [change for change in overrides if change.rota_id == rota.id],
            [each for each in hand_overs if each.rota_id == rota.id],
            frozenset(
                account.id
                for place in ancestors(rota.area)
                for account in by_post.get((place, rota.post), ())
            ),
        )
        for rota in found
    ]
