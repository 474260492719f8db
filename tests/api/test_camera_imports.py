"""Hundreds of cameras from a list, and changes of many at once, over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from access.policy.types import Role
from api.hub import Hub
from camera_hub.simulator.onvif import OnvifDevice
from camera_hub.simulator.onvif_xml import StreamProfile
from core.clock import Clock, SystemClock
from tests.api.test_camera_facts import BOTH_STORES, FLAT, Family, family
from tests.support.http import Client, SignIn
from tests.support.waiting import until

__all__ = ["family"]
URL = "/api/v1/cameras"
AREA = "demo/riverside"
PASSWORD = "s3cret-of-the-list"


@pytest.fixture
def clock() -> Clock:
    """The true time: the devices' clocks are compared with it."""
    return SystemClock()


@pytest.fixture
async def devices() -> AsyncIterator[list[OnvifDevice]]:
    made = [
        OnvifDevice(
            [StreamProfile("one", f"rtsp://127.0.0.1:85{n:02}/one", 1280, 720, 25, 2000, 25)],
            username="viewer", password=PASSWORD, clock=SystemClock(),
        )
        for n in range(3)
    ]  # fmt: skip
    for device in made:
        await device.start()
    yield made
    for device in made:
        await device.close()


async def sent(client: Client, text: str, **query: object) -> dict[str, Any]:
    answer = await client.post(
        f"{URL}/import", content=text.encode(), params={k: str(v) for k, v in query.items()},
        headers={"Content-Type": "text/csv"},
    )  # fmt: skip
    assert answer.status_code == 202, answer.text
    assert PASSWORD not in answer.text
    job: dict[str, Any] = answer.json()
    return job


async def ended(client: Client, job: dict[str, Any]) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        found: dict[str, Any] = (await client.get(f"{URL}/imports/{job['id']}")).json()
        return found if found["state"] != "running" else None

    found: dict[str, Any] = await until(look)
    return found


def states(job: dict[str, Any]) -> list[tuple[int, str]]:
    return [(row["line"], row["state"]) for row in job["rows"]]


def table(*rows: str) -> str:
    return "name,area,place_kind,address,username,password,recording,probe\n" + "\n".join(rows)


async def cameras(client: Client) -> dict[str, dict[str, Any]]:
    found = (await client.get(f"{URL}?limit=200")).json()["items"]
    return {item["name"]: item for item in found}


@BOTH_STORES
async def test_a_list_is_tried_and_then_added_row_by_row(
    hub: Hub, sign_in: SignIn, devices: list[OnvifDevice]
) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    text = table(
        *(
            f"Gate {n},{AREA},shared_space,{device.address},viewer,{PASSWORD},,"
            for n, device in enumerate(devices)
        ),
        f"Wrong,{AREA},shared_space,127.0.0.1:1,viewer,{PASSWORD},,",
        f"Link,{AREA},shared_space,169.254.1.1,viewer,{PASSWORD},,",
        f"Later,{AREA},public_space,rtsp://127.0.0.1:9/x,viewer,{PASSWORD},off,no",
    )
    tried = await sent(admin, text)
    assert (tried["state"], tried["dry_run"], tried["created"]) == ("done", True, 0)
    assert states(tried) == [
        (2, "ok"), (3, "ok"), (4, "ok"), (5, "ok"), (6, "invalid"), (7, "ok"),
    ]  # fmt: skip
    assert tried["rows"][4]["code"] == "invalid-address"
    assert await cameras(admin) == {}

    asked = await ended(admin, await sent(admin, text, probe=True))
    assert states(asked)[:4] == [(2, "ok"), (3, "ok"), (4, "ok"), (5, "failed")]
    assert asked["rows"][3]["code"] == "camera-unreachable"
    assert await cameras(admin) == {}

    done = await ended(admin, await sent(admin, text, dry_run=False))
    assert states(done) == [
        (2, "created"), (3, "created"), (4, "created"), (5, "failed"), (6, "invalid"),
        (7, "created"),
    ]  # fmt: skip
    assert (done["created"], done["done"], done["total"]) == (4, 6, 6)
    there = await cameras(admin)
    assert set(there) == {"Gate 0", "Gate 1", "Gate 2", "Later"}
    assert there["Later"]["recording"]["mode"] == "off"
    assert there["Gate 1"]["id"] == done["rows"][1]["camera_id"]

    # The same list again changes nothing.
    again = await ended(admin, await sent(admin, text, dry_run=False))
    assert [state for _, state in states(again)].count("exists") == 4
    assert again["created"] == 0
    assert await cameras(admin) == there


async def test_all_or_none(sign_in: SignIn, devices: list[OnvifDevice]) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    good = [
        f"Gate {n},{AREA},shared_space,{device.address},viewer,{PASSWORD},,"
        for n, device in enumerate(devices)
    ]
    bad = f"Wrong,{AREA},shared_space,127.0.0.1:1,viewer,{PASSWORD},,"
    done = await ended(admin, await sent(admin, table(*good, bad), dry_run=False, together=True))
    assert {state for _, state in states(done)} == {"failed"}
    assert "line 5" in done["rows"][0]["message"]
    assert await cameras(admin) == {}
    done = await ended(admin, await sent(admin, table(*good), dry_run=False, together=True))
    assert done["created"] == 3


async def test_a_list_goes_no_further_than_who_sends_it(sign_in: SignIn, family: Family) -> None:
    household, _ = await family()
    admin = await sign_in(Role.ADMINISTRATOR, AREA)
    row = "shared_space,rtsp://127.0.0.1:9/x,viewer,x,off,no"
    other = "shared_space,rtsp://127.0.0.1:9/y,viewer,x,off,no"
    job = await sent(admin, table(f"Here,{AREA},{row}", f"There,demo/other,{other}"))
    assert states(job) == [(2, "ok"), (3, "invalid")]
    assert job["rows"][1]["code"] == "forbidden"
    everywhere = await sign_in(Role.ADMINISTRATOR)
    assert (await everywhere.get(f"{URL}/imports/{job['id']}")).status_code == 404
    home = (
        "name,area,place_kind,household_id,address,recording,probe\n"
        f"Hall,{FLAT},home,{household},rtsp://127.0.0.1:9/h,always,no\n"
        f"Hall 2,{FLAT},home,{household},rtsp://127.0.0.1:9/i,,no\n"
    )
    job = await sent(everywhere, home)
    assert states(job) == [(2, "invalid"), (3, "ok")]


async def test_many_cameras_are_changed_at_once(sign_in: SignIn, family: Family) -> None:
    household, _ = await family()
    admin = await sign_in(Role.ADMINISTRATOR)
    ids = []
    for n in range(3):
        made = await admin.post(URL, json={
            "name": f"Gate {n}", "area": AREA, "source_kind": "rtsp", "probe": False,
            "address": f"rtsp://127.0.0.1:9/{n}",
        })  # fmt: skip
        ids.append(made.json()["id"])
    home = await admin.post(URL, json={
        "name": "Hall", "area": FLAT, "source_kind": "rtsp", "probe": False, "place_kind": "home",
        "household_id": household, "address": "rtsp://127.0.0.1:11/hall",
    })  # fmt: skip
    unknown = "00000000-0000-7000-8000-000000000000"
    body = {
        "ids": [*ids, home.json()["id"], unknown, ids[0]],
        "set": {"recording": {"mode": "event"}, "purpose": "Safety at the gates"},
    }
    answer = await admin.patch(URL, json=body)
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert [(r["changed"], r["code"]) for r in results] == [
        (True, ""), (True, ""), (True, ""), (False, "forbidden"), (False, "not-found"),
    ]  # fmt: skip
    there = await cameras(admin)
    assert {there[f"Gate {n}"]["recording"]["mode"] for n in range(3)} == {"event"}
    assert there["Hall"]["recording"]["mode"] == "off"
    assert there["Hall"]["purpose"] == ""

    elsewhere = await sign_in(Role.ADMINISTRATOR, "demo/other")
    answer = await elsewhere.patch(URL, json={"ids": ids, "set": {"analyse": False}})
    assert {r["code"] for r in answer.json()["results"]} == {"not-found"}
    assert (await admin.patch(URL, json={"ids": ids, "set": {"name": "x"}})).status_code == 422
