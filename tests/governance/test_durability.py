"""Real deaths of the process and of the store; clients send again until they have a receipt."""

import asyncio
import contextlib
import os
import random
import signal as signals
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from access.ledger.service import Ledger
from access.tokens.service import Tokens
from api.hub import Hub
from core.clock import SystemClock
from core.database import Database
from core.logging import configure_logging
from governance.incidents.models import Incident, IncidentLog
from governance.outbox.models import OutboxEvent
from governance.signals.models import Signal
from governance.timers.models import Timer
from tests.governance.support import attachment, picture, signal
from tests.support.http import LiveServer, ServiceClient
from tests.support.stores import REPOSITORY, PostgresServer

pytestmark = pytest.mark.faults

BATCH = {"Content-Type": "application/cloudevents-batch+json"}


async def until_receipt(client: httpx.AsyncClient, raw: Any, seen: Counter[int]) -> Any:
    """Post as the spool does: again and again, until a 2xx has arrived."""
    headers = BATCH if isinstance(raw, list) else {}
    while True:
        with contextlib.suppress(httpx.TransportError):
            answer = await client.post("/api/v1/signals", json=raw, headers=headers)
            seen[answer.status_code] += 1
            if answer.status_code in {200, 201}:
                return answer.json()
        await asyncio.sleep(0.05)


async def check_kernel(database: Database, receipts: dict[str, str | None]) -> None:
    """Every receipt has exactly one signal, one incident, one deadline and one announcement."""
    async with database.read() as session:
        stored = list(await session.scalars(select(Signal)))
        incidents = list(await session.scalars(select(Incident)))
        logs = list(await session.scalars(select(IncidentLog)))
        timers = list(await session.scalars(select(Timer)))
        events = list(await session.scalars(select(OutboxEvent)))
    assert Counter(s.event_id for s in stored) == Counter(list(receipts))
    assert {s.event_id: str(s.incident_id) for s in stored} == receipts
    assert Counter(str(i.id) for i in incidents) == Counter(set(receipts.values()))
    assert sorted(i.number[-6:] for i in incidents) == [
        f"{n:06d}" for n in range(1, len(incidents) + 1)
    ]
    for what in (
        Counter(log.incident_id for log in logs if log.action == "opened"),
        Counter(t.incident_id for t in timers if not t.fired_at and not t.cancelled_at),
        Counter(e.incident_id for e in events if e.type == "incident.opened"),
    ):
        assert what == Counter(incident.id for incident in incidents)


@pytest.fixture
async def mortal_api(store_url: str, tmp_path: Path) -> AsyncIterator[tuple[str, Path, Path]]:
    """Address of an API that dies six times, the file that tells of it, and its stderr."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    listener.set_inheritable(True)
    obituary = tmp_path / "obituary"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.governance.mortal_api",
        store_url, str(tmp_path / "data"), str(listener.fileno()), "6",
        cwd=REPOSITORY, pass_fds=[listener.fileno()], start_new_session=True,
        stdout=obituary.open("wb"), stderr=(tmp_path / "stderr").open("wb"),
    )  # fmt: skip
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", obituary, tmp_path / "stderr"
    os.killpg(process.pid, signals.SIGKILL)
    await process.wait()
    listener.close()


async def test_a_receipt_means_durable(
    mortal_api: tuple[str, Path, Path], database: Database, tmp_path: Path
) -> None:
    url, obituary, errors = mortal_api
    async with database.transaction() as session:
        _, secret = await Tokens(SystemClock(), Ledger(SystemClock(), tmp_path)).issue(
            session, name="media-0", scopes=["signal.post"]
        )
    receipts: dict[str, str | None] = {}
    seen: Counter[int] = Counter()
    waiting: list[Any] = [
        signal(zone_name=f"zone {n}", attachments=[attachment(picture(shade=n))]) for n in range(40)
    ]
    waiting += [[signal(zone_name=f"batch {n}-{m}") for m in range(5)] for n in range(4)]
    random.Random(7).shuffle(waiting)

    async def spool(client: httpx.AsyncClient) -> None:
        while waiting:
            raw = waiting.pop()
            answer = await until_receipt(client, raw, seen)
            for item in answer if isinstance(answer, list) else [answer]:
                receipts[item["id"]] = item["incident_id"]

    headers = {"Authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client:
        try:
            async with asyncio.timeout(60):
                await asyncio.gather(*(spool(client) for _ in range(4)))
        except TimeoutError:
            pytest.fail(f"{dict(seen)} {obituary.read_text()} {errors.read_text()[-3000:]}")
    assert len(receipts) == 60
    assert obituary.read_text().count(f"ended with {signals.SIGKILL}") == 6
    assert seen[200] > 0  # something had been stored though its first answer was lost
    await check_kernel(database, receipts)


@pytest.fixture
def clock() -> SystemClock:
    """What restarts by itself runs on the machine's clock."""
    configure_logging("error")  # as a server does: its plain tracebacks cost no seconds
    return SystemClock()


@pytest.mark.parametrize("hub_url", ["postgresql"], indirect=True)
async def test_postgresql_stopped_in_the_middle_loses_nothing(
    hub: Hub, server: LiveServer, service_client: ServiceClient, postgres_server: PostgresServer
) -> None:
    client = await service_client(["signal.post"], at=server)
    receipts: dict[str, str | None] = {}
    seen: Counter[int] = Counter()
    waiting = [signal(zone_name=f"zone {n}") for n in range(60)]

    async def spool() -> None:
        while waiting:
            answer = await until_receipt(client, waiting.pop(), seen)
            receipts[answer["id"]] = answer["incident_id"]

    spools = [asyncio.create_task(spool()) for _ in range(4)]
    for left in (40, 20):
        while len(waiting) > left:
            await asyncio.sleep(0.005)
        await asyncio.to_thread(postgres_server.kill)
        before = seen[503]
        while seen[503] == before:  # somebody was told to come again
            await asyncio.sleep(0.01)
        postgres_server.start()
    await asyncio.gather(*spools)
    assert len(receipts) == 60
    assert set(seen) <= {200, 201, 503}
    await check_kernel(hub.database, receipts)
