"""Posts the outbox to each receiver: in order, signed (Standard Webhooks), until it says 2xx.

At least once: a process killed between the answer and the commit posts again, with the same
`webhook-id`. A receiver that fails is asked again after growing pauses and holds back no other;
after five days without an answer it is paused, which the list and the ledger show.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
from standardwebhooks import Webhook as Signature

from access.ledger.service import Ledger
from access.policy.areas import covers
from core.clock import Clock
from core.database import Database
from core.ids import new_id
from core.logging import get_logger
from core.metrics import counter
from core.outbound import Outbound, OutboundAddressError, OutboundFailedError
from core.secrets import SecretBox, SecretBoxError
from governance.fanout.cloudevents import PREFIX, SOURCE, AtHome, cloud_event, leaving
from governance.outbox import repository as outbox_rows
from governance.outbox import service as outbox
from governance.waiting import POLL_S, UNHURRIED_S, wait
from governance.webhooks import repository
from governance.webhooks.models import Webhook

PAUSED_AFTER = timedelta(days=5)
LEASE = timedelta(seconds=120)

_BATCH = 100
_AT_ONCE = 32
_FIRST_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 3600.0
_WORK_S = 60.0  # well within the lease, however slowly the receiver answers
_GONE = 410

_posted = counter("webhooks_posted", "Events that a receiver has taken")
_failed = counter("webhooks_failed", "Posts that a receiver did not take")
_log = get_logger("governance.webhooks")


@dataclass
class _Progress:
    """What came of one lease."""

    cursor: int
    delivered: int = 0
    missed: int = 0
    error: str = ""
    retry_after_s: float = 0.0
    gone: bool = False


class WebhookSender:
    """The postman of one process."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        ledger: Ledger,
        secret_box: SecretBox,
        outbound: Outbound,
        at_home: AtHome,
    ) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._box = secret_box
        self._outbound = outbound
        self._at_home = at_home
        self._woken = outbox.waker(database)
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def run(self) -> None:
        """Post for ever. Raises what the store raises; the supervisor starts it again."""
        posting: dict[UUID, asyncio.Task[None]] = {}
        try:
            while True:
                # A slow receiver is not waited for: the others hear what is new meanwhile.
                for webhook_id in [w for w, task in posting.items() if task.done()]:
                    posting.pop(webhook_id).result()
                for webhook_id in await self._due():
                    if webhook_id not in posting:
                        posting[webhook_id] = asyncio.create_task(self._in_turn(webhook_id))
                await wait(self._clock, self._woken, POLL_S, breath_s=UNHURRIED_S)
        finally:
            for task in posting.values():
                task.cancel()
            await asyncio.gather(*posting.values(), return_exceptions=True)

    async def post_due(self) -> None:
        """Post to every receiver that there is something for, and wait for all of them."""
        await asyncio.gather(*(self._in_turn(webhook_id) for webhook_id in await self._due()))

    async def _due(self) -> list[UUID]:
        async with self._database.read() as session:
            return await repository.due(session, self._clock.now())

    async def _in_turn(self, webhook_id: UUID) -> None:
        async with self._gate:
            await self._serve(webhook_id)

    async def test(self, row: Webhook) -> tuple[int | None, str]:
        """Post a test event now; return the status and what was said, (None, why) without one."""
        now = self._clock.now()
        event = {
            "specversion": "1.0",
            "id": f"test-{new_id()}",
            "source": SOURCE,
            "type": f"{PREFIX}test",
            "time": now.isoformat(),
            "datacontenttype": "application/json",
            "area": row.area,
            "data": {"webhook": row.name},
        }
        try:
            status, detail, _ = await self._post(row, event)
        except (OutboundFailedError, OutboundAddressError, SecretBoxError) as error:
            return None, str(error)
        return status, detail

    async def _serve(self, webhook_id: UUID) -> None:
        lease, now = new_id(), self._clock.now()
        async with self._database.transaction() as session:
            if not await repository.take(session, webhook_id, lease, now, now + LEASE):
                return
            row = await repository.by_id(session, webhook_id)
        if row is None:
            return
        progress = await self._drain(row)
        async with self._database.transaction() as session:
            kept = await repository.settle(session, webhook_id, lease, self._outcome(row, progress))
            if kept and self._is_given_up(row, progress):
                await self._ledger.append(
                    session,
                    "webhook.paused",
                    actor=None,
                    area=row.area,
                    subject=str(row.id),
                    data={"name": row.name, "error": progress.error},
                )

    async def _drain(self, row: Webhook) -> _Progress:
        """Post what is new, in order, until the end, a failure or the end of the time."""
        progress = _Progress(row.cursor_seq)
        until = self._clock.monotonic() + _WORK_S
        async with self._database.read() as session:
            lowest, _ = await outbox_rows.bounds(session)
        # What the outbox has forgotten meanwhile cannot be told any more: counted, and shown.
        progress.missed = max(0, lowest - 1 - progress.cursor)
        while self._clock.monotonic() < until:
            async with self._database.read() as session:
                rows = await outbox_rows.read_after(session, progress.cursor, _BATCH)
                leave = {r.seq for r in await leaving(session, rows, self._at_home)}
            for event in rows:
                wanted = event.seq in leave and (not row.types or event.type in row.types)
                if wanted and covers(row.area, event.area):
                    if not await self._hand_over(row, cloud_event(event), progress):
                        return progress
                    progress.delivered += 1
                progress.cursor = event.seq
                if self._clock.monotonic() >= until:
                    return progress
            if len(rows) < _BATCH:
                break
        return progress

    async def _hand_over(self, row: Webhook, event: dict[str, Any], progress: _Progress) -> bool:
        try:
            status, detail, retry_after_s = await self._post(row, event)
        except (OutboundFailedError, OutboundAddressError, SecretBoxError) as error:
            progress.error = str(error)[:300]
            _failed.inc()
            return False
        if 200 <= status < 300:
            _posted.inc()
            return True
        _failed.inc()
        progress.error = f"{status} {detail}".strip()[:300]
        progress.retry_after_s = retry_after_s
        progress.gone = status == _GONE
        return False

    async def _post(self, row: Webhook, event: dict[str, Any]) -> tuple[int, str, float]:
        body = orjson.dumps(event).decode()
        now = self._clock.now()
        signature = Signature(self._box.open(row.sealed_secret)).sign(event["id"], now, body)
        answer = await self._outbound.post(
            row.url,
            body.encode(),
            {
                "Content-Type": "application/cloudevents+json",
                "User-Agent": "camera-hub",
                "webhook-id": event["id"],
                "webhook-timestamp": str(int(now.timestamp())),
                "webhook-signature": signature,
            },
        )
        text = answer.body[:200].decode(errors="replace")
        shown = "".join(c if c.isprintable() else " " for c in text)
        after = answer.headers.get("retry-after", "")
        return answer.status, shown, float(after) if after.isdecimal() else 0.0

    def _outcome(self, row: Webhook, progress: _Progress) -> dict[str, Any]:
        now = self._clock.now()
        values: dict[str, Any] = {
            "cursor_seq": progress.cursor,
            "delivered": row.delivered + progress.delivered,
            "missed": row.missed + progress.missed,
        }
        if progress.delivered:
            values["last_ok_at"] = now
        if not progress.error:
            return {
                **values,
                "tries": 0,
                "failing_since": None,
                "next_try_at": None,
                "last_error": "",
            }
        tries = 1 if progress.delivered else row.tries + 1
        pause = min(_FIRST_PAUSE_S * 2 ** min(tries - 1, 12), _LONGEST_PAUSE_S)
        pause = max(pause, min(progress.retry_after_s, _LONGEST_PAUSE_S))
        return {
            **values,
            "tries": tries,
            "failing_since": now if progress.delivered else row.failing_since or now,
            "next_try_at": now + timedelta(seconds=pause),
            "last_error": progress.error,
            "active": not self._is_given_up(row, progress),
        }

    def _is_given_up(self, row: Webhook, progress: _Progress) -> bool:
        if not progress.error or progress.delivered:
            return progress.gone
        since = row.failing_since or self._clock.now()
        return progress.gone or self._clock.now() - since >= PAUSED_AFTER
