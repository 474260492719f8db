"""Rotas and duty as they go over the wire."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.policy.types import Role
from governance.duty import repository
from governance.duty.book import POSTS, RotaBook, load_book, load_rotas
from governance.duty.models import HandOver, Rota, RotaSlot
from governance.duty.schemas import (
    DutyNow,
    DutyOut,
    HandOverOut,
    OverlapOut,
    OverrideOut,
    PersonOut,
    RotaOut,
    SlotOut,
    SpanOut,
)

AHEAD = timedelta(days=7)
"""How far ahead gaps and changes are looked for."""

_LATEST_HAND_OVERS = 10
_WEEK = 7 * 24 * 60

People = Mapping[UUID, Account]


async def describe_rotas(
    session: AsyncSession, rotas: Sequence[Rota], at: datetime, zone: tzinfo
) -> list[RotaOut]:
    """Return rotas with their slots, overrides, hand-overs, gaps and overlaps as of `at`."""
    books = await load_rotas(session, rotas, at)
    latest = {
        rota.id: await repository.latest_hand_overs(session, rota.id, _LATEST_HAND_OVERS)
        for rota in rotas
    }
    ids = {who for book in books for who in _named(book) | book.eligible}
    ids |= {who for rows in latest.values() for row in rows for who in (row.from_id, row.to_id)}
    people = await repository.accounts(session, ids)
    return [_rota(book, latest[book.rota.id], people, at, zone) for book in books]


def _named(book: RotaBook) -> set[UUID]:
    named = {slot.account_id for slot in book.slots}
    for change in book.overrides:
        named.add(change.account_id)
        if change.replaces_id is not None:
            named.add(change.replaces_id)
    return named


def _rota(
    book: RotaBook, latest: Sequence[HandOver], people: People, at: datetime, zone: tzinfo
) -> RotaOut:
    def person(who: UUID) -> PersonOut:
        return _person(who, people, book.eligible)

    return RotaOut(
        id=book.rota.id,
        area=book.rota.area,
        post=book.rota.post,
        name=book.rota.name,
        time_zone=zone_name(zone),
        candidates=sorted(
            (person(who) for who in book.eligible), key=lambda each: (each.display_name, each.id)
        ),
        slots=[
            SlotOut(
                id=slot.id,
                weekday=slot.weekday,
                starts=slot.starts,
                ends=slot.ends,
                account_id=slot.account_id,
                display_name=person(slot.account_id).display_name,
                holds_post=slot.account_id in book.eligible,
            )
            for slot in book.slots
        ],
        overrides=[
            OverrideOut(
                id=change.id,
                from_at=change.from_at,
                until_at=change.until_at,
                account=person(change.account_id),
                replaces=None if change.replaces_id is None else person(change.replaces_id),
                reason=change.reason,
                created_at=change.created_at,
            )
            for change in book.overrides
            if change.until_at > at
        ],
        hand_overs=[hand_over_out(row, people, book.eligible) for row in latest],
        gaps=_spans(book.gaps(at, at + AHEAD, zone)),
        overlaps=_overlaps(book, people),
    )


def hand_over_out(row: HandOver, people: People, eligible: frozenset[UUID]) -> HandOverOut:
    """Return a hand-over for the wire."""
    return HandOverOut(
        id=row.id,
        rota_id=row.rota_id,
        giver=_person(row.from_id, people, eligible),
        taker=_person(row.to_id, people, eligible),
        note=row.note,
        open_incidents=row.open_incidents,
        offered_at=row.offered_at,
        given_at=row.given_at,
        taken_at=row.taken_at,
        refused_at=row.refused_at,
        refused_reason=row.refused_reason,
        state="refused" if row.refused_at else "open" if row.is_open else "done",
    )


async def describe_hand_over(
    session: AsyncSession, rota: Rota, row: HandOver, at: datetime
) -> HandOverOut:
    """Return one hand-over for the wire."""
    (book,) = await load_rotas(session, [rota], at)
    people = await repository.accounts(session, {row.from_id, row.to_id})
    return hand_over_out(row, people, book.eligible)


async def describe_duty(session: AsyncSession, area: str, at: datetime, zone: tzinfo) -> DutyNow:
    """Return who is on duty in `area` at an instant, by post, with the gaps of seven days."""
    book = await load_book(session, area, at)
    items = []
    for post in POSTS:
        found = book.watch(area, post, at, zone)
        if found is None:
            items.append(_nobody(area, post))
            continue
        rotas = [
            each
            for each in book.rotas
            if found.rota is not None
            and each.rota.area == found.rota.area
            and each.rota.post == post.value
        ]
        people = {account.id: account for account in found.accounts}
        running = [row for each in rotas for row in each.hand_overs if row.is_open]
        people |= await repository.accounts(
            session, {who for row in running for who in (row.from_id, row.to_id)}
        )
        changes = [c for each in rotas if (c := each.changes_at(at, zone, AHEAD)) is not None]
        eligible = frozenset(who for each in rotas for who in each.eligible)
        items.append(
            DutyOut(
                area=area,
                post=post.value,
                by="gap" if found.gap else "role" if found.rota is None else "rota",
                found_in=found.area,
                rota_id=None if found.rota is None else found.rota.id,
                rota_name="" if found.rota is None else found.rota.name,
                accounts=[PersonOut(id=a.id, display_name=a.display_name) for a in found.accounts],
                until_at=min(changes, default=None),
                gaps=_spans(_common_gaps(rotas, at, zone)),
                hand_overs=[hand_over_out(row, people, eligible) for row in running],
            )
        )
    return DutyNow(area=area, at=at, time_zone=zone_name(zone), items=items)


def _nobody(area: str, post: Role) -> DutyOut:
    return DutyOut(
        area=area,
        post=post.value,
        by="nobody",
        found_in="",
        rota_id=None,
        rota_name="",
        accounts=[],
        until_at=None,
        gaps=[],
        hand_overs=[],
    )


def _common_gaps(
    rotas: Sequence[RotaBook], at: datetime, zone: tzinfo
) -> list[tuple[datetime, datetime]]:
    """Return the spans in which none of these rotas names anybody."""
    common: list[tuple[datetime, datetime]] | None = None
    for each in rotas:
        gaps = each.gaps(at, at + AHEAD, zone)
        if common is None:
            common = gaps
            continue
        common = [
            (max(a, c), min(b, d)) for a, b in common for c, d in gaps if max(a, c) < min(b, d)
        ]
    return common or []


def _overlaps(book: RotaBook, people: People) -> list[OverlapOut]:
    """Return the hours of a week, by the minute of the wall clock, that name more than one."""
    spans = [span for slot in book.slots for span in _minutes(slot)]
    edges = sorted({edge for begin, end, _ in spans for edge in (begin, end)})
    found: list[tuple[int, int, frozenset[UUID]]] = []
    for begin, end in pairwise(edges):
        there = [who for first, last, who in spans if first <= begin and end <= last]
        if len(there) < 2:
            continue
        who = frozenset(there)
        if found and found[-1][1] == begin and found[-1][2] == who:
            found[-1] = (found[-1][0], end, who)
        else:
            found.append((begin, end, who))
    return [
        OverlapOut(
            weekday=begin // 1440,
            starts=_clock(begin),
            ends=_clock(end),
            accounts=[_person(each, people, book.eligible) for each in sorted(who, key=str)],
        )
        for begin, end, who in found
    ]


def _minutes(slot: RotaSlot) -> list[tuple[int, int, UUID]]:
    """Return a slot in minutes of the week; one that runs over its end is cut in two."""

    def of(clock: str) -> int:
        return int(clock[:2]) * 60 + int(clock[3:])

    begin = slot.weekday * 1440 + of(slot.starts)
    length = (of(slot.ends) - of(slot.starts)) % 1440 or 1440
    end = begin + length
    if end <= _WEEK:
        return [(begin, end, slot.account_id)]
    return [(begin, _WEEK, slot.account_id), (0, end - _WEEK, slot.account_id)]


def _clock(minute: int) -> str:
    return f"{minute // 60 % 24:02d}:{minute % 60:02d}"


def _person(who: UUID, people: People, eligible: frozenset[UUID]) -> PersonOut:
    account = people.get(who)
    name = "" if account is None else account.display_name
    return PersonOut(id=who, display_name=name, holds_post=who in eligible)


def _spans(found: Sequence[tuple[datetime, datetime]]) -> list[SpanOut]:
    return [SpanOut(from_at=begin, until_at=end) for begin, end in found]


def zone_name(zone: tzinfo) -> str:
    """Return the name of a time zone, such as Asia/Shanghai."""
    return str(getattr(zone, "key", zone))
