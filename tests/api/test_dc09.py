"""Alarm panels over real sockets: what is answered, and when; encrypted and not, TCP and UDP."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from api.dc09.listener import MAX_CONNECTIONS, MAX_OF_ADDRESS, Listener
from api.hub import Hub
from core.clock import ManualClock
from core.settings import DatabaseSettings, Dc09Settings, ServerSettings, Settings
from governance.alarms.models import AlarmDevice
from governance.incidents.models import Incident
from governance.signals.models import Signal
from tests.api.panel_kit import over_tcp, over_udp, plain, sealed, stamped, word
from tests.api.test_alarms import AREA, Home, a_home, both_stores, in_store
from tests.support.http import LiveServer, SignIn
from tests.support.waiting import until

KEY = bytes(range(16))
ways = pytest.mark.parametrize("send", [over_tcp, over_udp], ids=["tcp", "udp"])


@pytest.fixture
def settings(tmp_path: Path, hub_url: str, request: pytest.FixtureRequest) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        database=DatabaseSettings(url=hub_url),
        server=ServerSettings(host="127.0.0.1", port=0, hosts=["testserver"]),
        dc09=Dc09Settings(port=free_port() if getattr(request, "param", "") else 0),
    )


@pytest.fixture
async def home(hub: Hub, app: FastAPI, sign_in: SignIn) -> Home:
    found = await a_home(hub, app, sign_in)
    for body in (
        {"name": "Hall", "account_code": "AB12"},
        {"name": "Cellar", "account_code": "C0DE", "encrypted": True, "key": KEY.hex()},
    ):
        made = await found.member.post(
            f"/households/{found.id}/alarm-devices",
            json={"kind": "panel", "heartbeat_s": 60, **body},
        )
        assert made.status_code == 201, made.text
    return found


@pytest.fixture
async def port(hub: Hub, home: Home) -> AsyncIterator[int]:
    listener = Listener(hub)
    task = asyncio.create_task(listener.run())
    await listener.ready.wait()
    yield listener.port
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@ways
@both_stores
async def test_an_alarm_is_acknowledged_once_it_is_stored_and_a_repetition_is_the_same(
    hub: Hub, port: int, send: object, home: Home
) -> None:
    frame = plain("Nri1/FA17^KITCHEN^", seq=42, at=hub.clock.now())
    for _ in range(2):
        answer = await send(port, frame)  # type: ignore[operator]
        assert word(answer) == "ACK 0042"
    (signal,) = await in_store(hub, Signal)
    assert signal.payload["data"]["panel"] == {
        "account": "AB12", "sequence": "0042", "code": "FA", "zone": "17", "text": "KITCHEN",
    }  # fmt: skip
    (incident,) = await in_store(hub, Incident)
    assert (incident.kind, str(incident.household_id), incident.signal_count) == (
        "alarm_fire", home.id, 1)  # fmt: skip


@ways
async def test_an_encrypted_alarm_is_answered_encrypted(hub: Hub, port: int, send: object) -> None:
    frame = sealed("1100 01 007", KEY, hub.clock.now(), account="C0DE", seq=9, id="ADM-CID")
    answer = await send(port, frame)  # type: ignore[operator]
    assert word(answer) == "*ACK 0009"
    assert stamped(answer, KEY) == hub.clock.now()
    (incident,) = await in_store(hub, Incident)
    assert incident.kind == "alarm_medical"


async def test_a_recording_is_refused_with_the_right_time_and_the_panel_tries_again(
    hub: Hub, port: int, clock: ManualClock
) -> None:
    frame = sealed("NBA1", KEY, clock.now(), account="C0DE")
    clock.advance(41)
    answer = await over_tcp(port, frame)
    assert (word(answer), stamped(answer)) == ("NAK 0000", clock.now())
    ahead = sealed("NBA1", KEY, clock.now() + timedelta(seconds=21), account="C0DE")
    assert word(await over_tcp(port, ahead)) == "NAK 0000"
    assert await in_store(hub, Signal) == []
    assert (
        word(await over_tcp(port, sealed("NBA1", KEY, clock.now(), account="C0DE"))) == "*ACK 0001"
    )
    # Within the window a recording is the same press.
    again = sealed("NBA1", KEY, clock.now(), account="C0DE")
    clock.advance(30)
    assert word(await over_tcp(port, again)) == "*ACK 0001"
    assert len(await in_store(hub, Signal)) == 1


async def test_a_clock_that_is_off_refuses_no_alarm_in_the_clear(hub: Hub, port: int) -> None:
    frame = plain("NMA1", at=hub.clock.now() - timedelta(days=900))
    assert word(await over_tcp(port, frame)) == "ACK 0001"
    (signal,) = await in_store(hub, Signal)
    assert signal.payload["data"]["warnings"] == ["clock_off"]


async def test_without_a_timestamp_the_same_frame_much_later_is_another_alarm(
    hub: Hub, port: int, clock: ManualClock
) -> None:
    frame = plain("NPA1", seq=5)
    for _ in range(2):
        assert word(await over_tcp(port, frame)) == "ACK 0005"
    assert len(await in_store(hub, Signal)) == 1
    clock.advance(7 * 86400)
    assert word(await over_tcp(port, frame)) == "ACK 0005"
    assert len(await in_store(hub, Signal)) == 2


async def test_what_is_whole_and_useless_is_answered_duh_and_stores_nothing(
    hub: Hub, port: int
) -> None:
    now = hub.clock.now()
    useless = {
        "account": plain("NFA1", account="FFFF"),
        "code": plain("NQQ1"),
        "no-key": sealed("NFA1", KEY, now),
        "not-encrypted": plain("NFA1", account="C0DE", at=now),
        "key": sealed("NFA1", b"k" * 16, now, account="C0DE"),
        "form": plain("NFA1", id="SIA-XXX"),
    }
    for reason, frame in useless.items():
        assert word(await over_tcp(port, frame)) == "DUH 0001", reason
        assert hub.alarm_devices.dc09.refused[reason] == 1, reason
    assert await in_store(hub, Signal) == []


async def test_a_wrong_crc_is_met_with_silence(hub: Hub, port: int) -> None:
    damaged = plain("NFA1").replace(b"NFA1", b"NFA2")
    good = plain("NPA1", seq=2)
    # The damaged frame gets no answer; the connection goes on.
    assert word(await over_tcp(port, damaged, good)) == "ACK 0002"
    assert hub.alarm_devices.dc09.refused["crc"] == 1
    (incident,) = await in_store(hub, Incident)
    assert incident.kind == "alarm_security"


async def test_a_frame_in_many_pieces_and_many_frames_in_one(hub: Hub, port: int) -> None:
    frame = plain("NFA1", seq=3)
    assert word(await over_tcp(port, *(frame[n : n + 1] for n in range(len(frame))))) == "ACK 0003"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello" + plain("NMA1", seq=4) + plain("", seq=5, id="NULL"))
    answers = [await asyncio.wait_for(reader.readuntil(b"\r"), 20) for _ in range(2)]
    assert [word(a) for a in answers] == ["ACK 0004", "ACK 0005"]
    writer.close()


async def test_restorals_are_noted_troubles_are_faults_and_comings_and_goings_are_forgotten(
    hub: Hub, port: int, clock: ManualClock, home: Home
) -> None:
    for seq, data in enumerate(("NFA1", "NFR1", "NYT0", "NYR0", "NOP1", "NCL1", "NRP0"), start=1):
        clock.advance(1)
        frame = plain(data, seq=seq, at=clock.now())
        assert word(await over_tcp(port, frame)) == f"ACK {seq:04}", data
    alarm, trouble = await in_store(hub, Incident)
    assert (alarm.kind, alarm.is_open) == ("alarm_fire", True)
    assert trouble.headline == "Battery low: 'Hall' of Building 3, Flat 1204"
    (shown,) = (await home.device.get("/alarms")).json()
    assert [news["what"] for news in shown["news"]] == ["restored"]
    assert len(await in_store(hub, Signal)) == 4


async def test_a_null_message_is_a_sign_of_life_and_a_manual_test_a_test_press(
    hub: Hub, port: int, home: Home
) -> None:
    (panel,) = [d for d in await in_store(hub, AlarmDevice) if d.account_code == "C0DE"]
    null = sealed("", KEY, hub.clock.now(), account="C0DE", id="NULL")
    assert word(await over_udp(port, null)) == "*ACK 0001"
    assert panel.id in hub.alarm_devices.presence.heard_at
    test = sealed("NRX1", KEY, hub.clock.now(), account="C0DE", seq=2)
    assert word(await over_udp(port, test)) == "*ACK 0002"
    (incident,) = await in_store(hub, Incident)
    assert incident.status == "test"
    (panel,) = [d for d in await in_store(hub, AlarmDevice) if d.account_code == "C0DE"]
    assert panel.tested_at == hub.clock.now()


@pytest.mark.faults
async def test_what_cannot_be_stored_is_not_acknowledged(hub: Hub, port: int) -> None:
    async with hub.database.transaction() as session:
        await session.execute(text("ALTER TABLE signal RENAME TO hidden"))
    frame = plain("NFA1", seq=8, at=hub.clock.now())
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(frame)
    await until(lambda: hub.alarm_devices.dc09.refused["not-stored"] == 1)
    async with hub.database.transaction() as session:
        await session.execute(text("ALTER TABLE hidden RENAME TO signal"))
    writer.write(frame)
    assert word(await asyncio.wait_for(reader.readuntil(b"\r"), 20)) == "ACK 0008"
    assert len(await in_store(hub, Signal)) == 1
    writer.close()


async def test_crowds_and_garbage_keep_no_panel_out(hub: Hub, port: int) -> None:
    """Idle connections give way, garbage is cut off, and an alarm in the middle is acknowledged."""
    door = hub.alarm_devices.dc09
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MAX_OF_ADDRESS + 20)]
    await until(lambda: door.refused["gave-way"] == 20)
    assert door.connections <= min(MAX_OF_ADDRESS, MAX_CONNECTIONS)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\n" * 8000)
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 20) == b""
    assert door.refused["garbage"] == 1
    assert word(await over_tcp(port, plain("NFA1"))) == "ACK 0001"
    assert word(await over_udp(port, plain("NMA1", seq=2))) == "ACK 0002"
    for _, other in [*idle, (reader, writer)]:
        other.close()
    await until(lambda: door.connections == 0)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest.mark.parametrize("settings", ["with a port"], indirect=True)
async def test_a_server_opens_the_port_and_shows_how_it_is(
    server: LiveServer, sign_in: SignIn, home: Home
) -> None:
    hub = server.hub
    await until(lambda: hub.alarm_devices.dc09.state == "open")
    answer = await over_tcp(hub.settings.dc09.port, plain("NFA1", at=hub.clock.now()))
    assert word(answer) == "ACK 0001"
    duty = await sign_in("duty_staff", AREA, at=server)
    doors = (await duty.get("/api/v1/system")).json()["alarm_doors"]
    assert (doors["mqtt"]["state"], doors["dc09"]["state"]) == ("off", "open")
    assert doors["dc09"]["received"] == 1
