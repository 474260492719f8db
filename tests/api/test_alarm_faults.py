"""A press outlives the death of the hub: SIGKILL before and after its commit, before its answer."""

import asyncio
import contextlib
import signal as signals
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from access.households.service import Households
from access.ledger.service import Ledger
from access.tokens.service import Tokens
from core.clock import SystemClock
from core.database import Database
from core.ids import new_id
from core.secrets import SecretBox, new_key
from governance.alarms.schemas import DeviceCreate
from governance.alarms.service import AlarmDevices
from tests.governance.test_durability import check_kernel, mortal_api
from tests.support.stores import ON_SQLITE

pytestmark = pytest.mark.faults

__all__ = ["mortal_api"]  # a fixture


async def until_received(
    client: httpx.AsyncClient, token: str, press: dict[str, Any], seen: Counter[int]
) -> dict[str, Any]:
    """Press as a device does: the same press again and again, until a 2xx has arrived."""
    headers = {"Authorization": f"Bearer {token}"}
    while True:
        with contextlib.suppress(httpx.TransportError):
            answer = await client.post("/api/v1/alarms", json=press, headers=headers)
            seen[answer.status_code] += 1
            if answer.status_code in {200, 201}:
                found: dict[str, Any] = answer.json()
                return found
        await asyncio.sleep(0.05)


@ON_SQLITE  # `test_a_receipt_means_durable` kills on both
async def test_a_press_is_received_once_however_often_the_hub_dies(
    mortal_api: tuple[str, Path, Path],
    database: Database,
    tmp_path: Path,
) -> None:
    url, obituary, errors = mortal_api
    tokens = await _homes(database, tmp_path, 20)
    receipts: dict[str, str | None] = {}
    seen: Counter[int] = Counter()

    async def home(client: httpx.AsyncClient, token: str) -> None:
        for kind in ("fire", "medical"):
            press = {"id": str(new_id()), "kind": kind}
            alarm = await until_received(client, token, press, seen)
            assert alarm["id"] == press["id"]
            receipts[alarm["id"]] = alarm["incident_id"]

    async with httpx.AsyncClient(base_url=url, timeout=20) as client:
        try:
            async with asyncio.timeout(60):
                for some in (tokens[:4], tokens[4:12], tokens[12:]):
                    await asyncio.gather(*(home(client, token) for token in some))
        except TimeoutError:
            pytest.fail(f"{dict(seen)} {obituary.read_text()} {errors.read_text()[-3000:]}")
    assert len(receipts) == 40
    assert obituary.read_text().count(f"ended with {signals.SIGKILL}") == 6
    await check_kernel(database, receipts)


async def _homes(database: Database, folder: Path, number: int) -> list[str]:
    """Make that many households; return the token of a phone of each."""
    clock = SystemClock()
    ledger = Ledger(clock, folder)
    devices = AlarmDevices(clock, SecretBox(new_key()), Tokens(clock, ledger), ledger)
    wanted = DeviceCreate(kind="phone", name="Phone")
    found = []
    async with database.transaction() as session:
        for n in range(number):
            home = await Households(clock, ledger).create(session, None, name=f"Flat {n}", area="a")
            issued = await devices.create(session, None, home, wanted)
            assert issued.token is not None
            found.append(issued.token)
    return found
