"""How devices come into a household, how they are watched, and how they go; on both stores."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import update

from api.alarm_watch import device_watch
from api.hub import Hub
from core.clock import ManualClock
from core.ids import new_id
from governance.alarms import codes
from governance.alarms.models import AlarmDevice, PairingCode
from governance.alarms.rates import TooManyPairingsError
from governance.alarms.watching import LOOK_EVERY_S, DeviceWatch
from governance.incidents.models import Incident
from tests.api.test_alarms import Home, a_home, both_stores, client_of, in_store, press
from tests.support.http import Client, SignIn


@pytest.fixture
async def home(hub: Hub, app: FastAPI, sign_in: SignIn) -> Home:
    return await a_home(hub, app, sign_in)


STEP_S = 4 * LOOK_EVERY_S
"""Looks this far apart are not yet so late that everybody gets a new start."""


async def code_for(home: Home, kind: str = "tv") -> str:
    made = await home.member.post(f"/households/{home.id}/pairing-codes", json={"kind": kind})
    assert made.status_code == 201, made.text
    code: str = made.json()["code"]
    return code


async def pair(client: Client, code: str) -> Any:
    return await client.post("/api/v1/alarm-devices/pair", json={"code": code, "name": "TV"})


def wrong(code: str) -> str:
    """Another code that begins like this one."""
    last = "A" if code[-1] != "A" else "C"
    return code[:-1] + last


@both_stores
async def test_a_code_lets_in_one_device_once(
    hub: Hub, app: FastAPI, client: Client, home: Home
) -> None:
    code = await code_for(home)
    assert set(code.replace("-", "")) <= set(codes.ALPHABET)
    (row,) = await in_store(hub, PairingCode)
    assert code.replace("-", "") not in str(vars(row))
    answer = await pair(client, code.lower().replace("-", " "))
    assert answer.status_code == 201, answer.text
    issued = answer.json()
    assert (issued["device"]["kind"], issued["device"]["household_id"]) == ("tv", home.id)
    television = client_of(app, issued["token"])
    assert (await television.post("/alarms", json=press())).status_code == 201
    again = await pair(client, code)
    assert (again.status_code, again.json()["code"]) == (404, "pairing-code")


@both_stores
async def test_five_wrong_guesses_kill_the_code_they_begin_like(
    hub: Hub, client: Client, home: Home
) -> None:
    code, other = await code_for(home), await code_for(home)
    while other[:3] == code[:3]:
        other = await code_for(home)
    for _ in range(codes.MAX_TRIES):
        async with hub.database.transaction() as session:
            typed = codes.normalise(wrong(code))
            assert await hub.alarm_devices.pair(session, typed, codes.code_hash(typed), "x") is None
    assert (await pair(client, code)).status_code == 404
    assert (await pair(client, other)).status_code == 201


async def test_a_code_dies_of_age_and_with_its_household(
    hub: Hub, client: Client, home: Home, clock: ManualClock, sign_in: SignIn
) -> None:
    old = await code_for(home)
    clock.advance(codes.LIFETIME.total_seconds() + 1)
    assert (await pair(client, old)).status_code == 404
    code = await code_for(home)
    admin = await sign_in("administrator")
    await admin.post(f"/api/v1/households/{home.id}/close")
    assert (await pair(client, code)).status_code == 404


async def test_guessing_is_slowed_down_at_one_place_and_everywhere_together(
    hub: Hub, client: Client
) -> None:
    answers = [(await pair(client, "AAAA-AAAA")).status_code for _ in range(7)]
    assert answers == [404] * 5 + [429] * 2
    throttle = hub.alarm_devices.pairings
    refused = 0
    for number in range(200):
        try:
            throttle.attempt(f"192.0.2.{number}")
        except TooManyPairingsError:
            refused += 1
    assert refused > 100


async def test_what_a_device_must_be(home: Home) -> None:
    path = f"/households/{home.id}/alarm-devices"
    for body, code in (
        ({"kind": "panel", "name": "P"}, "account-code"),
        ({"kind": "phone", "name": "P", "account_code": "AB12"}, "account-code"),
        ({"kind": "phone", "name": "P", "key": "00" * 16}, "device-key"),
        ({"kind": "panel", "name": "P", "account_code": "AB12", "key": "0" * 17}, "device-key"),
    ):
        answer = await home.member.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, code), body
    panel = {"kind": "panel", "name": "Hall", "account_code": "ab12", "encrypted": True}
    made = (await home.member.post(path, json=panel)).json()
    assert (made["token"], len(made["key"]), made["device"]["account_code"]) == (None, 32, "AB12")
    taken = await home.member.post(path, json=panel)
    assert (taken.status_code, taken.json()["code"]) == (409, "account-code-taken")
    gone = f"{path}/{made['device']['id']}"
    assert (await home.member.delete(gone)).status_code == 204
    assert (await home.member.post(path, json=panel)).status_code == 201
    typed = {**panel, "account_code": "ab13", "key": "sixteen letters!", "key_format": "text"}
    assert (await home.member.post(path, json=typed)).json()["key"] == b"sixteen letters!".hex()


async def test_secrets_of_devices_are_shown_once(hub: Hub, home: Home, sign_in: SignIn) -> None:
    path = f"/households/{home.id}/alarm-devices"
    made = (await home.member.post(path, json={"kind": "button", "name": "Bed"})).json()
    rows = await in_store(hub, AlarmDevice)
    assert made["key"] not in str([vars(row) for row in rows])
    admin = await sign_in("administrator")
    for listed in (await home.member.get(path), await admin.get("/api/v1/alarm-devices")):
        assert listed.status_code == 200
        assert made["key"] not in listed.text
        assert made["token"] not in listed.text
    assert (await admin.get(f"/api/v1{path}")).status_code in {403, 404}


async def a_button(home: Home, app: FastAPI) -> tuple[str, Any]:
    made = await home.member.post(
        f"/households/{home.id}/alarm-devices",
        json={"kind": "button", "name": "Bedside", "heartbeat_s": 30},
    )
    body = made.json()
    return body["device"]["id"], client_of(app, body["token"])


async def beat(button: Any, **body: Any) -> None:
    assert (await button.post("/alarm-devices/me/heartbeat", json=body)).status_code == 200


async def quiet(watch: DeviceWatch, clock: ManualClock, seconds: float) -> None:
    """Let `seconds` go by in which nothing is heard."""
    for _ in range(int(seconds / STEP_S)):
        clock.advance(STEP_S)
        await watch.look()


async def faults(hub: Hub) -> list[tuple[str, bool]]:
    found = await in_store(hub, Incident)
    return [(row.headline, row.is_open) for row in found if row.kind == "device_silent"]


@both_stores
async def test_three_missed_heartbeats_are_a_fault_and_the_next_one_ends_it(
    hub: Hub, app: FastAPI, home: Home, clock: ManualClock
) -> None:
    _, button = await a_button(home, app)
    watch = device_watch(hub)
    await quiet(watch, clock, 300)
    assert await faults(hub) == []  # never heard: not installed yet
    await beat(button)
    await quiet(watch, clock, 88)
    assert await faults(hub) == []
    await quiet(watch, clock, 16)
    headline = "No sign of life from 'Bedside' of Building 3, Flat 1204"
    assert await faults(hub) == [(headline, True)]
    await quiet(watch, clock, 200)
    assert await faults(hub) == [(headline, True)]
    await beat(button)
    await watch.look()
    assert await faults(hub) == [(headline, False)]
    (incident,) = await in_store(hub, Incident)
    assert (incident.household_id, incident.resolution) == (None, "recovered")
    await quiet(watch, clock, 104)
    assert [is_open for _, is_open in await faults(hub)] == [False, True]


async def test_no_clock_no_pause_and_no_restart_makes_a_device_silent(
    hub: Hub, app: FastAPI, home: Home, clock: ManualClock
) -> None:
    _, button = await a_button(home, app)
    watch = device_watch(hub)
    await beat(button)
    await watch.look()
    for jump in (3600, -7200, 90_000):
        clock.jump(jump)
        await watch.look()
    assert await faults(hub) == []
    clock.advance(3600)  # the whole process stood still: whatever waits has yet to be read
    await watch.look()
    await quiet(watch, clock, 80)
    assert await faults(hub) == []
    async with hub.database.transaction() as session:  # nobody ran for a day
        long_ago = clock.now() - timedelta(days=1)
        await session.execute(update(AlarmDevice).values(last_seen_at=long_ago))
    hub.alarm_devices.presence.start_anew()
    again = device_watch(hub)
    await quiet(again, clock, 80)
    assert await faults(hub) == []
    await quiet(again, clock, 24)
    assert len(await faults(hub)) == 1
    # Still silent after a restart: the same fault, told once.
    hub.alarm_devices.presence.start_anew()
    await quiet(device_watch(hub), clock, 200)
    assert len(await faults(hub)) == 1


async def test_a_door_that_is_deaf_makes_no_device_silent(
    hub: Hub, app: FastAPI, home: Home, clock: ManualClock
) -> None:
    device_id, button = await a_button(home, app)
    watch = device_watch(hub)
    await beat(button)
    presence = hub.alarm_devices.presence
    (row,) = [r for r in await in_store(hub, AlarmDevice) if str(r.id) == device_id]
    presence.heard(row.id, via="mqtt")
    presence.deaf.add("mqtt")
    await quiet(watch, clock, 300)
    assert await faults(hub) == []
    presence.deaf.discard("mqtt")
    await quiet(watch, clock, 100)
    assert len(await faults(hub)) == 1


async def test_a_low_battery_is_told_once_until_it_was_charged(
    hub: Hub, app: FastAPI, home: Home, clock: ManualClock
) -> None:
    _, button = await a_button(home, app)
    watch = device_watch(hub)

    async def told(*charges: int) -> int:
        for charge in charges:
            await beat(button, battery_pct=charge)
            clock.advance(1)
            await watch.look()
        found = await in_store(hub, Incident)
        assert all(row.kind == "other" and row.severity == "minor" for row in found)
        return sum(row.signal_count for row in found)

    assert await told(80, 15) == 0
    assert await told(14, 13, 16, 12) == 1
    assert await told(24, 25) == 1
    assert await told(9) == 2


async def test_what_was_heard_outlives_a_store_that_was_away(
    hub: Hub, app: FastAPI, home: Home, clock: ManualClock
) -> None:
    device_id, button = await a_button(home, app)
    await beat(button, battery_pct=50)
    presence = hub.alarm_devices.presence
    presence.put_back(presence.take())
    await beat(button)
    await device_watch(hub).look()
    (row,) = [r for r in await in_store(hub, AlarmDevice) if str(r.id) == device_id]
    assert (row.last_seen_at, row.battery_pct) == (clock.now(), 50)


@both_stores
async def test_what_was_heard_of_many_is_written_and_of_who_is_no_device_is_not(
    hub: Hub, app: FastAPI, home: Home, clock: ManualClock
) -> None:
    """A token without a device presses as itself: it is heard, and there is no row of it."""
    presence = hub.alarm_devices.presence
    devices = [(await a_button(home, app))[0] for _ in range(3)]
    gone = await home.member.delete(f"/households/{home.id}/alarm-devices/{devices[2]}")
    assert gone.status_code == 204, gone.text
    for number, device_id in enumerate([*devices, str(new_id())]):
        presence.heard(UUID(device_id), battery_pct=50 + number)
    await device_watch(hub).look()
    rows = {str(row.id): row for row in await in_store(hub, AlarmDevice)}
    assert [(rows[d].last_seen_at, rows[d].battery_pct) for d in devices] == [
        (clock.now(), 50),
        (clock.now(), 51),
        (None, None),
    ]
    assert presence.take() == {}


async def test_an_administrator_takes_a_lost_device_out_and_lets_none_in(
    home: Home, sign_in: SignIn
) -> None:
    admin, elsewhere = await sign_in("administrator"), await sign_in("administrator", "demo/x")
    path = f"/api/v1/alarm-devices/{home.device_id}"
    assert (await elsewhere.delete(path)).status_code == 404
    assert (await admin.delete(path)).status_code == 204
    assert (await home.device.post("/alarms", json=press())).status_code == 401
    assert (await admin.delete(path)).status_code == 404
    body = {"kind": "phone", "name": "Mine"}
    made = await admin.post(f"/api/v1/households/{home.id}/alarm-devices", json=body)
    assert made.status_code in {403, 404}
