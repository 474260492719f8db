"""Exports whose builder was killed."""

import asyncio
import signal
import subprocess
import sys
from typing import Any
from uuid import UUID

import pytest

from api.exports import builder
from api.hub import Hub
from core.clock import ManualClock
from core.settings import Settings
from governance.exports import repository
from governance.exports.models import ExportRequest
from tests.api import playbacks_kit
from tests.api.exports_kit import incident_id, ready, step, wish
from tests.api.playbacks_kit import MASKS, Past, past
from tests.api.test_exports_recordings import ask, span
from tests.governance.support import AREA
from tests.support.http import Client, SignIn

__all__ = ["incident_id", "past"]

BUILD = """
import asyncio, sys
from api.door import COOKIE, CSRF_HEADER
from api.exports import builder
from api.hub import build_hub
from core.clock import SystemClock
from core.settings import Settings
from governance.exports import packing

def linger(writer, about, sign):
    print("built", flush=True)
    import time
    time.sleep(60)

async def main():
    hub = build_hub(Settings.model_validate_json(sys.stdin.read()), SystemClock())
    packing.finish = linger
    await builder(hub).build_next()

asyncio.run(main())
"""


@pytest.mark.faults
async def test_recordings_that_were_being_written_when_the_hub_was_killed_are_made_again(
    past: Past, settings: Settings, sign_in: SignIn, clock: ManualClock
) -> None:
    """SIGKILL with half a zip and a folder of painted clips on the disk: the next start goes on."""
    hub, where = past.hub, playbacks_kit.AREA
    await past.change(masks=MASKS)
    asker, other = await sign_in("operator", where), await sign_in("supervisor", where)
    export = (await ask(asker, span(past.camera_id, 0, 6))).json()
    assert (await step(other, export, "approve", "seen the order")).status_code == 200
    process = subprocess.Popen(
        [sys.executable, "-c", BUILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(settings.model_dump_json().encode())
    process.stdin.close()
    assert await asyncio.to_thread(process.stdout.readline) == b"built\n"
    process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(process.wait)
    process.stdout.close()
    left = {path.suffix for path in hub.exports.directory.iterdir()}
    assert left == {".part", ".work"}
    path = f"/api/v1/exports/{export['id']}"
    assert (await asker.get(path)).json()["state"] == "building"
    async with hub.database.transaction() as session:  # the killed one had the real clock
        (await hub.exports.locked(session, UUID(export["id"]))).claimed_at = hub.clock.now()
    assert not await builder(hub).build_next()  # it may still be at it
    running = asyncio.create_task(builder(hub).run())
    async with asyncio.timeout(20):
        while (await asker.get(path)).json()["state"] != "ready":
            clock.advance(1)
            await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [one.name for one in hub.exports.directory.iterdir()] == [f"{export['id']}.zip"]
    assert (await asker.get(f"{path}/file")).status_code == 200


@pytest.mark.faults
@pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)
async def test_what_a_killed_process_was_building_is_built_by_the_next_at_once(
    hub: Hub, sign_in: SignIn, incident_id: UUID, clock: ManualClock
) -> None:
    """And not while that process lives: with PostgreSQL its connection says so."""
    operator, supervisor = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    export = await wish(operator, incident_id)
    await step(supervisor, export, "approve")
    async with hub.database.transaction() as session:
        row = await session.get(ExportRequest, UUID(export["id"]))
        assert row is not None
        row.state, row.claimed_at = "building", hub.clock.now()
    path = f"/api/v1/exports/{export['id']}"

    async def state() -> str:
        clock.advance(1)
        await asyncio.sleep(0.02)
        found: str = (await operator.get(path)).json()["state"]
        return found

    async with hub.database.engine.connect() as alive:
        if not hub.database.is_sqlite:
            assert await repository.become_builder(alive)
        running = asyncio.create_task(builder(hub).run())
        if not hub.database.is_sqlite:
            assert [await state() for _ in range(5)] == ["building"] * 5
            await alive.invalidate()
    async with asyncio.timeout(20):
        while await state() != "ready":
            pass
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.faults
async def test_a_kill_between_row_and_file_leaves_no_file(
    hub: Hub, sign_in: SignIn, incident_id: UUID
) -> None:
    """The index says expired first; the file goes at the next sweep, others stay."""
    operator, supervisor = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    export = await ready(hub, operator, supervisor, incident_id)
    kept = await ready(hub, operator, supervisor, incident_id)
    foreign = hub.exports.directory / "notes.zip"
    foreign.write_bytes(b"not ours")
    async with hub.database.transaction() as session:
        row = await hub.exports.locked(session, UUID(export["id"]))
        await hub.exports.withdraw(session, row, _actor(operator), "")
    await builder(hub).sweep()
    assert sorted(p.name for p in hub.exports.directory.iterdir()) == sorted(
        [f"{kept['id']}.zip", "notes.zip"]
    )


def _actor(client: Client) -> Any:
    from access.policy.types import Actor

    return Actor(kind="account", id=client.account_id, name=client.username)
