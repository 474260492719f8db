"""Buttons through a real Mosquitto: signed, receipted, and through a broker that goes away."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from api.hub import Hub
from api.mqtt_buttons import Buttons
from core.clock import SystemClock
from core.ids import new_id
from core.settings import DatabaseSettings, MqttSettings, ServerSettings, Settings
from governance.alarms.signing import sign
from governance.incidents.models import Incident
from governance.signals.models import Signal
from tests.api.test_alarms import a_home, in_store
from tests.support.broker import Broker
from tests.support.http import SignIn
from tests.support.waiting import until


@pytest.fixture
def clock() -> SystemClock:
    return SystemClock()


@pytest.fixture
def settings(tmp_path: Path, hub_url: str, broker: Broker) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        database=DatabaseSettings(url=hub_url),
        server=ServerSettings(host="127.0.0.1", port=0, hosts=["testserver"]),
        mqtt=MqttSettings(url=broker.url),
    )


@dataclass
class Button:
    """A button on the wall: its key, and the broker it knows."""

    id: str
    key: bytes
    broker: Broker

    def signed(self, word: str, **message: Any) -> bytes:
        return json.dumps({**message, "mac": sign(word, message, self.key)}).encode()

    def alarm(self, **more: Any) -> dict[str, Any]:
        return {"id": str(new_id()), "kind": "medical", **more}

    async def send(self, word: str, payload: bytes, *, retain: bool = False) -> None:
        async with await self.client() as client:
            topic = f"camera-hub/devices/{self.id}/{word}"
            await client.publish(topic, payload, qos=1, retain=retain)

    async def press(self, message: dict[str, Any]) -> dict[str, Any]:
        """Press, and wait for the receipt."""
        async with await self.client() as client:
            await client.subscribe(f"camera-hub/devices/{self.id}/receipt", qos=1)
            topic = f"camera-hub/devices/{self.id}/alarm"
            await client.publish(topic, self.signed("alarm", **message), qos=1)
            async with asyncio.timeout(40):
                async for received in client.messages:
                    assert isinstance(received.payload, bytes)
                    receipt: dict[str, Any] = json.loads(received.payload)
                    if receipt["id"] == message["id"]:
                        return receipt
        raise AssertionError("no receipt")

    async def client(self) -> aiomqtt.Client:
        return aiomqtt.Client("127.0.0.1", self.broker.port)


@pytest.fixture
async def button(hub: Hub, app: FastAPI, sign_in: SignIn, broker: Broker) -> Button:
    home = await a_home(hub, app, sign_in)
    made = await home.member.post(
        f"/households/{home.id}/alarm-devices", json={"kind": "button", "name": "Bedside"}
    )
    body = made.json()
    return Button(body["device"]["id"], bytes.fromhex(body["key"]), broker)


@pytest.fixture
async def listening(hub: Hub, button: Button) -> AsyncIterator[Hub]:
    task = asyncio.create_task(Buttons(hub).run())
    await until(lambda: hub.alarm_devices.mqtt.state == "open")
    yield hub
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_signed_press_gets_its_receipt_and_a_recording_makes_nothing_new(
    listening: Hub, button: Button
) -> None:
    message = button.alarm(pressed_at=listening.clock.now().isoformat())
    receipt = await button.press(message)
    (incident,) = await in_store(listening, Incident)
    assert (receipt["incident"], incident.kind) == (incident.number, "alarm_medical")
    assert await button.press(message) == receipt
    (signal,) = await in_store(listening, Signal)
    assert signal.payload["data"]["device"]["via"] == "mqtt"
    refused = await button.press({**message, "kind": "earthquake"})
    assert refused["refused"] == "invalid-alarm"


async def test_what_is_not_signed_by_the_button_counts_for_nothing(
    listening: Hub, button: Button
) -> None:
    good = button.alarm()
    stranger = Button(button.id, b"x" * 32, button.broker)
    door = listening.alarm_devices.mqtt
    for reason, payload in (
        ("unsigned", json.dumps(good).encode()),
        ("signature", stranger.signed("alarm", **good)),
        ("signature", button.signed("heartbeat", **good)),
        ("signature", button.signed("alarm", **good).replace(b"medical", b"fire")),
        ("form", b"\xff\xfe"),
        ("large", b'"' + b"x" * 5000 + b'"'),
    ):
        before = door.refused[reason]
        await button.send("alarm", payload)
        await until(lambda r=reason, b=before: door.refused[r] == b + 1)
    other = Button(str(new_id()), button.key, button.broker)
    await other.send("alarm", other.signed("alarm", **good))
    await until(lambda: door.refused["unknown"] == 1)
    assert await in_store(listening, Signal) == []
    assert (await button.press(good))["id"] == good["id"]


async def test_a_heartbeat_counts_once(listening: Hub, button: Button) -> None:
    presence, door = listening.alarm_devices.presence, listening.alarm_devices.mqtt
    beat = button.signed("heartbeat", counter=7, battery_pct=66)
    await button.send("heartbeat", beat)
    await until(lambda: len(presence.heard_at) == 1)
    await button.send("heartbeat", beat)
    await until(lambda: door.refused["replay"] == 1)
    await button.send("heartbeat", button.signed("heartbeat", battery_pct=1))
    await until(lambda: door.refused["counter"] == 1)
    (heard,) = presence.take().values()
    assert (heard.counter, heard.battery_pct) == (7, 66)


async def test_a_retained_press_is_not_of_now(hub: Hub, button: Button) -> None:
    await button.send("alarm", button.signed("alarm", **button.alarm()), retain=True)
    task = asyncio.create_task(Buttons(hub).run())
    await until(lambda: hub.alarm_devices.mqtt.refused["retained"] == 1)
    assert await in_store(hub, Signal) == []
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.faults
async def test_what_was_pressed_while_the_hub_was_away_waits_at_the_broker(
    hub: Hub, button: Button
) -> None:
    task = asyncio.create_task(Buttons(hub).run())
    await until(lambda: hub.alarm_devices.mqtt.state == "open")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await button.send("alarm", button.signed("alarm", **button.alarm()))
    task = asyncio.create_task(Buttons(hub).run())
    await until(lambda: hub.alarm_devices.mqtt.received == 1)
    await until(lambda: in_store(hub, Signal))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.faults
async def test_a_press_that_cannot_be_stored_is_asked_for_again_until_it_is(
    listening: Hub, button: Button
) -> None:
    """No acknowledgement to the broker before the commit: it hands the press out once more."""
    async with listening.database.transaction() as session:
        await session.execute(text("ALTER TABLE signal RENAME TO hidden"))
    await button.send("alarm", button.signed("alarm", **button.alarm()))
    await until(lambda: listening.alarm_devices.mqtt.state == "away")
    async with listening.database.transaction() as session:
        await session.execute(text("ALTER TABLE hidden RENAME TO signal"))
    await until(lambda: in_store(listening, Signal), timeout=60)
    assert len(await in_store(listening, Signal)) == 1


@pytest.mark.faults
async def test_a_broker_that_goes_away_and_comes_back_is_found_again(
    listening: Hub, button: Button, broker: Broker
) -> None:
    door, presence = listening.alarm_devices.mqtt, listening.alarm_devices.presence
    broker.stop()
    await until(lambda: door.state == "away")
    assert presence.deaf == {"mqtt"}
    broker.start()
    await until(lambda: door.state == "open", timeout=60)
    assert presence.deaf == set()
    assert (await button.press(button.alarm(kind="fire")))["incident"]
