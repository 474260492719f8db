"""Group commit: signals that arrive while the store is busy share the next transaction.

A durable commit costs the same for one signal and for two hundred. Whoever posts waits here; one
task takes all that wait, the most urgent first, stores them in one transaction, and only after its
commit gives each its receipt. It runs only while somebody waits.

Urgent goes first, but nobody waits for ever: what is more severe overtakes at most `AHEAD` later
places for each step of severity. An alarm overtakes everything, and shares its transaction with
nothing but alarms. Signals about the same thing keep their order.
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.exc import DBAPIError, OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession

from access.households import repository as households
from access.households.repository import Home
from core.database import Database
from core.errors import HubError, InvalidInputError, UnavailableError
from core.logging import get_logger
from core.metrics import counter, gauge, histogram
from governance.areas.service import check as check_area
from governance.incidents.kinds import ALARMS, RECOVERING
from governance.incidents.opening import SEVERITY_RANK
from governance.signals.reading import InvalidSignalError, ReadSignal
from governance.signals.service import Signals
from governance.signals.types import CameraFacts, HouseholdFacts, Posted, Receipt

BATCH = 200
"""Signals of one transaction, at most."""
MOST_WAITING = 4000
"""Signals that may wait; further ones are sent away, and alarms are not."""
AHEAD = 500
"""Places in the queue that each step of severity is worth."""

SETTLE_S = 5.0

_REFUSED_DATA = ("22", "54")  # SQLSTATE: data exception, program limit exceeded
_REFUSED_ROW = "23"  # integrity constraint violation

CamerasOf = Callable[[AsyncSession, Collection[UUID]], Awaitable[Mapping[UUID, CameraFacts]]]
"""Looks up what the hub knows of cameras."""
Allow = Callable[[Posted], None]
"""Raises the `HubError` of a signal that its sender may not post there."""

_waiting = gauge("signals_waiting", "Signals that wait for their transaction")
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200)
_batches = histogram("batch_signals", "Signals that shared one transaction", buckets=_SIZES)
_split = counter("signals_batch_split", "Transactions that failed and were tried in halves")
_failed = counter("signals_failed", "Signals that were not stored", ("error",))
_log = get_logger("governance.intake")


class IntakeFullError(UnavailableError):
    """So many signals wait that this one is not taken in (503)."""

    code = "store-busy"


class UnstorableSignalError(InvalidInputError):
    """The store refuses what this signal holds (422)."""

    code = "invalid-signal"


async def no_cameras(_: AsyncSession, __: Collection[UUID]) -> Mapping[UUID, CameraFacts]:
    """Know no camera: for governance without devices."""
    return {}


@dataclass(frozen=True, slots=True)
class IntakeItem:
    """A checked signal with its pictures on the disk, who posted it, and whether they may."""

    signal: ReadSignal
    posted_by: UUID | None = None
    allow: Allow | None = None

    @property
    def is_alarm(self) -> bool:
        """Whether somebody pressed for help."""
        return self.signal.event.kind in ALARMS

    @property
    def is_urgent(self) -> bool:
        """Whether somebody pressed for help in earnest."""
        return self.is_alarm and self.signal.event.data.status == "Actual"


@dataclass(order=True, slots=True)
class _Entry:
    place: tuple[int, int]
    item: IntakeItem = field(compare=False)
    answer: asyncio.Future[Receipt] = field(compare=False)


class Intake:
    """The one way of signals into the store of this process."""

    def __init__(
        self, database: Database, signals: Signals, cameras: CamerasOf = no_cameras
    ) -> None:
        self._database = database
        self._signals = signals
        self._cameras = cameras
        self._alarms: list[_Entry] = []
        self._others: list[_Entry] = []
        self._arrived = 0
        # Of what waits under a key: how many, and the hindmost place.
        self._behind: dict[str, tuple[int, int]] = {}
        self._worker: asyncio.Task[None] | None = None

    async def submit(self, item: IntakeItem) -> Receipt:
        """Store a signal; returns after the commit. Whoever stops waiting stops nothing.

        Raises:
            HubError: this signal is refused: by `allow`, its household, its id, or
                `IntakeFullError`.
            SQLAlchemyError, OSError: the store could not do it; nothing or all of it is stored.
        """
        return await self._enter(item)

    async def submit_all(self, items: Sequence[IntakeItem]) -> list[Receipt | BaseException]:
        """Store many; the answer to each, in order, is its receipt or what `submit` raises."""
        entered: list[asyncio.Future[Receipt] | HubError] = []
        for item in items:
            try:
                entered.append(self._enter(item))
            except IntakeFullError as error:
                entered.append(error)
        waited = [answer for answer in entered if not isinstance(answer, HubError)]
        answers = iter(await asyncio.gather(*waited, return_exceptions=True))
        return [e if isinstance(e, HubError) else next(answers) for e in entered]

    async def settle(self) -> None:
        """Wait until nobody waits any more, or `SETTLE_S` have passed: before the store closes."""
        if self._worker is not None and not self._worker.done():
            await asyncio.wait([self._worker], timeout=SETTLE_S)

    def is_waited_for(self) -> bool:
        """Say whether signals wait that are not in a transaction yet."""
        return bool(self._alarms or self._others)

    def _enter(self, item: IntakeItem) -> asyncio.Future[Receipt]:
        waiting = len(self._alarms) + len(self._others)
        if waiting >= MOST_WAITING and not item.is_urgent:
            _failed.labels("full").inc()
            raise IntakeFullError(
                f"{waiting} signals wait to be stored already.",
                remedy="Send it again; what was stored after all is recognised by its id.",
                detail={"retry_after": 1},
            )
        answer = asyncio.get_running_loop().create_future()
        queue = self._alarms if item.is_alarm else self._others
        heapq.heappush(queue, _Entry(self._place(item), item, answer))
        _waiting.set(waiting + 1)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._drain(), name="signal-intake")
        return answer

    def _place(self, item: IntakeItem) -> tuple[int, int]:
        event = item.signal.event
        self._arrived += 1
        if item.is_alarm:
            return (0 if item.is_urgent else 1, self._arrived)
        place = self._arrived - AHEAD * SEVERITY_RANK[event.data.severity.lower()]
        count, hindmost = self._behind.get(event.dedup_key, (0, place))
        place = max(place, hindmost)
        self._behind[event.dedup_key] = (count + 1, place)
        return (place, self._arrived)

    def _next(self) -> list[_Entry]:
        queue = self._alarms or self._others
        batch = [heapq.heappop(queue) for _ in range(min(BATCH, len(queue)))]
        for entry in batch:
            key = entry.item.signal.event.dedup_key
            count, hindmost = self._behind.get(key, (1, 0))
            if count > 1:
                self._behind[key] = (count - 1, hindmost)
            else:
                self._behind.pop(key, None)
        _waiting.set(len(self._alarms) + len(self._others))
        return batch

    async def _drain(self) -> None:
        # Once around the loop, so that what arrived together is stored together.
        await asyncio.sleep(0)
        while batch := self._next():
            _batches.observe(len(batch))
            await self._commit(batch)

    async def _commit(self, batch: Sequence[_Entry]) -> None:
        """Store a batch; if it fails for what is in it, in halves, down to the one to blame."""
        try:
            async with self._database.transaction(short=True) as session:
                answers = await self._process(session, [entry.item for entry in batch])
        # Whatever it is, it is told to everybody who waits.
        except Exception as error:  # noqa: BLE001
            if len(batch) > 1 and not _is_of_the_store(error):
                _split.inc()
                half = len(batch) // 2
                await self._commit(batch[:half])
                await self._commit(batch[half:])
                return
            _failed.labels(type(error).__name__).inc(len(batch))
            _log.warning("signals_not_stored", count=len(batch), error=repr(error)[:500])
            answers = [_meaning(error)] * len(batch)
        for entry, answer in zip(batch, answers, strict=True):
            if entry.answer.done():  # whoever waited has gone
                continue
            if isinstance(answer, Receipt):
                entry.answer.set_result(answer)
            else:
                entry.answer.set_exception(answer)

    async def _process(
        self, session: AsyncSession, items: Sequence[IntakeItem]
    ) -> list[Receipt | Exception]:
        events = [item.signal.event for item in items]
        seen = {e.data.camera_id for e in events if e.data.camera_id is not None}
        cameras = await self._cameras(session, seen) if seen else {}
        pressed = {
            event.data.household_id
            for event in events
            if event.kind in ALARMS and event.data.household_id is not None
        }
        homes = await households.homes(session, pressed)
        answers: dict[int, Receipt | Exception] = {}
        admitted: dict[int, Posted] = {}
        areas: set[str] = set()
        for position, item in enumerate(items):
            try:
                admitted[position] = posted = _posted(item, cameras, homes)
                if item.allow is not None:
                    item.allow(posted)
                if _names_its_area(posted) and posted.area not in areas:
                    await check_area(session, posted.area)
                    areas.add(posted.area)
            except HubError as error:
                admitted.pop(position, None)
                answers[position] = error
        if admitted:
            taken = await self._signals.take(session, list(admitted.values()))
            answers.update(zip(admitted, taken, strict=True))
        return [answers[position] for position in range(len(items))]


def _posted(
    item: IntakeItem, cameras: Mapping[UUID, CameraFacts], homes: Mapping[UUID, Home]
) -> Posted:
    """Put a signal together with what is known of its camera and its household.

    Raises:
        InvalidSignalError: there is no such household, or the camera named is not one of it.
    """
    data = item.signal.event.data
    camera = None if data.camera_id is None else cameras.get(data.camera_id)
    household = None
    if item.is_alarm and data.household_id is not None:
        home = homes.get(data.household_id)
        if home is None:
            raise _invalid("data.household_id", "there is no such household")
        if data.camera_id is not None and (camera is None or camera.household_id != home.id):
            raise _invalid("data.camera_id", "is no camera of this household")
        household = HouseholdFacts(home.id, home.area, home.name)
    return Posted(item.signal, camera, household, item.posted_by)


def _names_its_area(posted: Posted) -> bool:
    """Say whether only the sender says where it is. A fault is heard wherever it says it is."""
    known = posted.camera is not None or posted.household is not None
    return not known and posted.signal.event.kind not in RECOVERING


def _invalid(field_name: str, message: str) -> InvalidSignalError:
    return InvalidSignalError([{"field": field_name, "message": message}])


def _is_of_the_store(error: Exception) -> bool:
    """Say whether it is the store that fails, so that trying one by one would help nobody."""
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None) or ""
        if state:
            return not state.startswith((*_REFUSED_DATA, _REFUSED_ROW))
        return error.connection_invalidated or isinstance(error, OperationalError)
    return isinstance(error, HubError | PoolTimeoutError | OSError)


def _meaning(error: Exception) -> Exception:
    """Return what a single waiter is told: that its signal cannot be kept, or the error itself.

    A row that is refused for others that are there (an integrity error) is a mistake of ours; its
    sender is to send it again.
    """
    state = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    overflows = isinstance(error, StatementError) and isinstance(
        error.orig, OverflowError | UnicodeError
    )
    if state.startswith(_REFUSED_DATA) or overflows or isinstance(error, UnicodeError):
        return UnstorableSignalError(
            "The store cannot keep what this signal holds.",
            remedy="Send shorter texts, without characters outside of Unicode.",
        )
    return error
