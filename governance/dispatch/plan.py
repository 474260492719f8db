"""Who a step of a policy means at this moment. Reads only: a dry run and a real one share it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts import repository as account_rows
from access.accounts.models import Account
from access.policy.areas import ancestors
from access.policy.types import Role
from governance.areas import repository as area_rows
from governance.contacts import repository as contact_rows
from governance.deliveries import gateways
from governance.deliveries.types import Recipient
from governance.dispatch.policies import PolicyFacts
from governance.dispatch.reach import Reach, load_reach
from governance.dispatch.snapshot import ROOM, SnapshotStep, split_target
from governance.duty.book import DutyBook, Watch, load_book_of
from governance.incidents.models import Incident

_POST = {
    "duty": Role.DUTY_STAFF,
    "patrol": Role.PATROL,
    "supervisor": Role.SUPERVISOR,
    "department": Role.DEPARTMENT,
}
_WHISTLED_FOR = ("supervisor", "duty")
"""Who of a level above is told of a whistle, and stays with the incident."""

_BOOKS = "duty_books"
_CONTACTS = "household_contacts"


@dataclass(frozen=True, slots=True)
class Subject:
    """What of an incident, or of one that is only supposed, decides who is told."""

    area: str
    status: str
    household_id: UUID | None = None
    department_id: UUID | None = None
    assignee_id: UUID | None = None
    handler_id: UUID | None = None
    acknowledger_id: UUID | None = None
    level: int = 0
    supposed: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Who is told in one step, and by what each can be told.

    Attributes:
        told: those whom the step names, and whom an earlier whistle brought in.
        whistled: those of the level that this step whistles for.
        level: how many levels are whistled for after the step.
        widened: those of levels above who are told because nobody below can be.
        nobody: nobody whom the step names can be told outside of a console.
        depends: targets that only a real incident has (dry run).
        gaps: rotas that name nobody for this moment.
    """

    told: Sequence[Recipient]
    whistled: Sequence[Recipient]
    level: int
    widened: Sequence[Recipient]
    nobody: bool
    depends: Sequence[str]
    gaps: Sequence[Watch]
    reach: Reach

    @property
    def everybody(self) -> list[Recipient]:
        """Return all who are told, each once."""
        return _once([*self.told, *self.whistled, *self.widened])


def subject_of(incident: Incident) -> Subject:
    """Return what of an incident decides who is told."""
    return Subject(
        area=incident.area,
        status=incident.status,
        household_id=incident.household_id,
        department_id=incident.department_id,
        assignee_id=incident.assignee_id,
        handler_id=incident.handler_id,
        acknowledger_id=incident.acknowledged_by_id,
        level=incident.level,
    )


def supposed(facts: PolicyFacts) -> Subject:
    """Return an incident that is only supposed."""
    return Subject(
        area=facts.area, status=facts.status, household_id=facts.household_id, supposed=True
    )


class Resolver:
    """Looks targets up for one incident at one instant."""

    def __init__(
        self, session: AsyncSession, subject: Subject, book: DutyBook, at: datetime, zone: tzinfo
    ) -> None:
        self._session = session
        self._subject = subject
        self._book = book
        self._at = at
        self._zone = zone
        self._levels: dict[Role, list[Watch]] = {}
        self.gaps: list[Watch] = []
        self.depends: list[str] = []

    @classmethod
    async def of(
        cls, session: AsyncSession, subject: Subject, at: datetime, zone: tzinfo
    ) -> "Resolver":
        """Return a resolver. In one transaction an area's rotas are read once: a flood is quick."""
        books = await _books(session, {subject.area}, at)
        return cls(session, subject, books[subject.area], at, zone)

    async def recipients(self, targets: Iterable[str]) -> list[Recipient]:
        """Return everybody whom `targets` mean now, each once, in the order of the targets."""
        found: list[Recipient] = []
        for target in targets:
            found += await self._one(target)
        return _once(found)

    def highest(self) -> int:
        """Return how many levels above the nearest have somebody to be whistled for."""
        return max((len(self._of(_POST[word])) - 1 for word in _WHISTLED_FOR), default=0)

    async def _one(self, target: str) -> list[Recipient]:
        subject = self._subject
        if target.startswith(ROOM):
            if subject.status != "actual":
                return []
            name = target.removeprefix(ROOM)
            return await gateways.rooms(self._session, name, subject.area)
        word, above = split_target(target)
        if word == "contacts":
            return await self._contacts()
        if word == "department" and not above:
            return await self._department()
        if word in _POST:
            return self._standing(_POST[word], above)
        return await self._person(word)

    def _of(self, post: Role) -> list[Watch]:
        if post not in self._levels:
            found = self._book.levels(self._subject.area, post, self._at, self._zone)
            self._levels[post] = found
            self.gaps += [watch for watch in found[:1] if watch.gap]
        return self._levels[post]

    def _standing(self, post: Role, above: int) -> list[Recipient]:
        levels = self._of(post)
        return [_account(a) for a in levels[min(above, len(levels) - 1)].accounts] if levels else []

    async def _contacts(self) -> list[Recipient]:
        if self._subject.household_id is None:
            return self._only_real("contacts")
        # Whatever a policy says: an exercise never reaches a household's contacts.
        if self._subject.status != "actual":
            return []
        homes = await _contacts(self._session, {self._subject.household_id})
        return homes[self._subject.household_id]

    async def _department(self) -> list[Recipient]:
        if self._subject.department_id is None:
            return self._only_real("department")
        found = await area_rows.department(self._session, self._subject.department_id)
        if found is None:
            return []
        return [_account(a) for a in await area_rows.working(self._session, found)]

    async def _person(self, word: str) -> list[Recipient]:
        who = {
            "assignee": self._subject.assignee_id,
            "handler": self._subject.handler_id,
            "acknowledger": self._subject.acknowledger_id,
        }[word]
        if who is None:
            return self._only_real(word)
        account = await account_rows.by_id(self._session, who)
        return [_account(account)] if account is not None and account.active else []

    def _only_real(self, word: str) -> list[Recipient]:
        if self._subject.supposed and word not in self.depends:
            self.depends.append(word)
        return []


async def look_up(session: AsyncSession, subjects: Sequence[Subject], at: datetime) -> None:
    """Ask at once what `plan_step` would ask for each of `subjects`: who is on duty where they
    are, whom their households have bound, and what leads to those.
    """
    await _books(session, {subject.area for subject in subjects}, at)
    homes = {s.household_id for s in subjects if s.household_id and s.status == "actual"}
    contacts = await _contacts(session, homes)
    await load_reach(session, [contact for home in homes for contact in contacts[home]])


async def _books(
    session: AsyncSession, areas: Collection[str], at: datetime
) -> Mapping[str, DutyBook]:
    """Return the book of each area; read once in a transaction."""
    books: dict[str, DutyBook] = session.info.setdefault(_BOOKS, {})
    if new := [area for area in areas if area not in books]:
        books.update(dict.fromkeys(new, await load_book_of(session, new, at)))
    return books


async def _contacts(
    session: AsyncSession, homes: Collection[UUID]
) -> Mapping[UUID, list[Recipient]]:
    """Return whom each household has bound; read once in a transaction."""
    known: dict[UUID, list[Recipient]] = session.info.setdefault(_CONTACTS, {})
    if new := [home for home in homes if home not in known]:
        found = await contact_rows.agreed_of(session, new)
        known.update({home: found.get(home, []) for home in new})
    return known


async def plan_step(
    session: AsyncSession, subject: Subject, step: SnapshotStep, at: datetime, zone: tzinfo
) -> Plan:
    """Work out who is told in `step`.

    Where nobody can be told outside of a console, those on duty and the supervisors are asked at
    once, the own level first and then the next ones above, until somebody can be told, or there is
    no level left.
    """
    resolver = await Resolver.of(session, subject, at, zone)
    named = await resolver.recipients(step["targets"])
    level = subject.level
    if step["whistle"]:
        level = min(level + 1, max(level, _top(subject.area)))
    before = await resolver.recipients(_of_levels(1, subject.level))
    new = await resolver.recipients(_of_levels(subject.level + 1, level))
    told = _once([*named, *before])
    whistled = _without(new, told)
    reach = await load_reach(session, [*told, *whistled])
    widened: list[Recipient] = []
    nobody = not _can_tell(reach, [*told, *whistled], step, subject)
    # From the own level on: a step that names a patrol may find nobody but those on duty there.
    above = -1
    while nobody and not widened and above < resolver.highest():
        above += 1
        further = _without(await resolver.recipients(_of_levels(above, above)), [*told, *whistled])
        reach = await load_reach(session, further)
        if _can_tell(reach, further, step, subject):
            widened = further
    return Plan(told, whistled, level, widened, nobody, resolver.depends, resolver.gaps, reach)


def _can_tell(
    reach: Reach, people: Sequence[Recipient], step: SnapshotStep, subject: Subject
) -> bool:
    """Say whether anybody can be told by what the step says.

    A step without channels, an exercise and a test are for consoles, where being named is enough.
    A neighbour is no duty desk: where a step names staff, reaching a contact is not enough.
    """
    if not step["channels"] or subject.status != "actual":
        return bool(people)
    only_contacts = all(target == "contacts" for target in step["targets"])
    return any(
        reach.of(person, step["channels"], subject.area)
        for person in people
        if only_contacts or person.kind != "contact"
    )


def _of_levels(first: int, last: int) -> list[str]:
    return [f"{word}+{n}" for n in range(first, last + 1) for word in _WHISTLED_FOR]


def _top(area: str) -> int:
    """Return how many levels lie above an area, the whole site counted."""
    return len(ancestors(area)) - 1


def _account(account: Account) -> Recipient:
    return Recipient("account", account.id, account.display_name, account.locale)


def _once(people: Iterable[Recipient]) -> list[Recipient]:
    return list({(person.kind, person.id): person for person in people}.values())


def _without(people: Iterable[Recipient], others: Iterable[Recipient]) -> list[Recipient]:
    known = {(other.kind, other.id) for other in others}
    return [person for person in people if (person.kind, person.id) not in known]


def raised(subject: Subject, level: int) -> Subject:
    """Return the subject after a whistle."""
    return replace(subject, level=level)
