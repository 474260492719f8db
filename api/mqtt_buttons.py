"""Alarm buttons that speak MQTT: `<topic>/devices/<id>/alarm` and `…/heartbeat`, signed.

The broker hears that a message arrived (PUBACK) after the commit, and so does the button, by a
receipt of its own on `…/receipt`: a PUBACK of the broker says only that the broker has it. The
session is persistent, so that what is published while the hub is away waits at the broker.
"""

import asyncio
import hashlib
import socket
import ssl
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import aiomqtt
import orjson
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from api.alarm_intake import Presser, take_press
from api.hub import Hub
from api.intake import take_in
from core.errors import HubError
from core.logging import get_logger
from core.secrets import SecretBoxError
from governance.alarms.faults import SILENT, Phase, fault
from governance.alarms.presses import read_press
from governance.alarms.schemas import HeartbeatIn
from governance.alarms.service import HouseholdDevice
from governance.alarms.signing import UnsignedError, read_signed
from governance.incidents import repository as incident_rows

AT_ONCE = 16
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 30.0
TOLD_AFTER_S = 60.0
"""A broker away for longer is a fault that a person is told of."""

_QUEUE = 1000
_TIMEOUT_S = 10.0
_log = get_logger("api.mqtt")


class Buttons:
    """The hub as a client of the broker. Runs until cancelled; a broken connection is made anew."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._door = hub.alarm_devices.mqtt
        self._topic = hub.settings.mqtt.topic.strip("/")
        self._away_since: float | None = None
        self._told: str | None = None

    async def run(self) -> None:
        """Listen for ever. The pause between tries doubles from 0.5 s to 30 s."""
        pause = BACKOFF_FIRST_S
        while True:
            self._door.turn("connecting" if self._away_since is None else "away", self._door.reason)
            try:
                await self._listen()
            except (aiomqtt.MqttError, OSError) as error:
                was_open = self._door.state == "open"
                self._lost(error)
                pause = BACKOFF_FIRST_S if was_open else min(pause * 2, BACKOFF_MAX_S)
            await self._tell_if_long()
            await self._hub.clock.sleep(pause)

    def _lost(self, error: Exception) -> None:
        reason = _reason(error)
        if self._away_since is None:
            self._away_since = self._hub.clock.monotonic()
            _log.warning("broker_away", reason=reason)
        self._hub.alarm_devices.presence.deaf.add("mqtt")
        self._door.turn("away", reason)

    async def _tell_if_long(self) -> None:
        away = self._away_since
        if away is None or self._told is not None:
            return
        if self._hub.clock.monotonic() - away >= TOLD_AFTER_S:
            self._told = self._hub.clock.now().isoformat()
            await self._tell("started", "The MQTT broker of the alarm buttons cannot be reached")

    async def _back(self) -> None:
        if self._told is not None:
            await self._tell("ended", "The MQTT broker of the alarm buttons is reached again")
            self._told = None
        self._away_since = None
        self._door.turn("open")
        self._hub.alarm_devices.presence.deaf.discard("mqtt")

    async def _tell(self, phase: Phase, headline: str) -> None:
        hub = self._hub
        signal = fault(
            hub.clock.now(),
            type=SILENT,
            about="mqtt-broker",
            at=self._told or "",
            headline=headline,
            area=hub.settings.site.area,
            phase=phase,
        )
        await take_in(hub, None, [signal])

    async def _listen(self) -> None:
        """Hold one connection and take in what comes, at most `AT_ONCE` at a time.

        Raises:
            aiomqtt.MqttError, OSError: the connection is lost, or the store could not take a
                message: it was not acknowledged, and comes again with the next connection.
        """
        async with self._client() as client:
            words = ("alarm", "heartbeat")
            await client.subscribe([(f"{self._topic}/devices/+/{word}", 1) for word in words])
            await self._back()
            room = asyncio.Semaphore(AT_ONCE)
            try:
                async with asyncio.TaskGroup() as group:
                    async for message in client.messages:
                        await room.acquire()
                        task = group.create_task(self._take(client, message))
                        task.add_done_callback(lambda _: room.release())
            except ExceptionGroup as errors:
                expected, rest = errors.split(
                    (aiomqtt.MqttError, OSError, HubError, SQLAlchemyError)
                )
                if rest is not None or expected is None:
                    raise
                raise aiomqtt.MqttError(_reason(expected.exceptions[0])) from errors

    def _client(self) -> aiomqtt.Client:
        settings = self._hub.settings.mqtt
        parts = urlsplit(settings.url)
        secure = parts.scheme == "mqtts"
        client = aiomqtt.Client(
            parts.hostname or "",
            parts.port or (8883 if secure else 1883),
            username=settings.username or None,
            password=settings.password.get_secret_value() or None,
            identifier=self._identifier(),
            clean_session=False,
            timeout=_TIMEOUT_S,
            max_queued_incoming_messages=_QUEUE,
            tls_context=ssl.create_default_context() if secure else None,
        )
        # The library has no word of its own for it: without this a message counts as delivered
        # when it was read from the socket, and a kill before the commit would lose it.
        client._client.manual_ack_set(True)
        return client

    def _identifier(self) -> str:
        # The broker keeps what waits for this name: the same after a restart, another per node.
        node = f"{socket.gethostname()}:{self._hub.settings.data_dir}"
        return f"camera-hub-{hashlib.sha256(node.encode()).hexdigest()[:12]}"

    async def _take(self, client: aiomqtt.Client, message: aiomqtt.Message) -> None:
        """Take in one message, and acknowledge it: after its commit, or because it is nothing.

        Raises:
            HubError: the store cannot take it now; it is not acknowledged.
        """
        receipt = None
        device_id, word = self._of_topic(message.topic.value)
        try:
            if message.retain:
                # Left at the broker by somebody, some time: no press of now.
                raise UnsignedError("retained")
            receipt = await self._read(device_id, word, message.payload)
        except UnsignedError as error:
            self._door.refuse(str(error))
        if receipt is not None:
            await client.publish(
                f"{self._topic}/devices/{device_id}/receipt", orjson.dumps(receipt), qos=1
            )
        client._client.ack(message.mid, message.qos)  # as above

    def _of_topic(self, topic: str) -> tuple[UUID | None, str]:
        *_, name, word = topic.split("/")
        with suppress(ValueError):
            return UUID(name), word
        return None, word

    async def _read(
        self, device_id: UUID | None, word: str, payload: object
    ) -> dict[str, Any] | None:
        """Return the receipt of an alarm, None after a heartbeat.

        Raises:
            UnsignedError: the message does not count.
            HubError: the store cannot take it now.
        """
        devices = self._hub.alarm_devices
        if device_id is None or not isinstance(payload, bytes):
            raise UnsignedError("form")
        async with self._hub.database.read() as session:
            found = await devices.known(session, device_id)
        if found is None or found.device.key is None or found.device.kind == "panel":
            raise UnsignedError("unknown")
        try:
            key = devices.key_of(found.device)
        except SecretBoxError as error:
            raise UnsignedError("sealed-with-another-key") from error
        assert key is not None
        message = read_signed(word, payload, key)
        self._door.received += 1
        if word == "alarm":
            return await self._alarm(found, message)
        self._heartbeat(found, message)
        return None

    def _heartbeat(self, found: HouseholdDevice, message: dict[str, Any]) -> None:
        presence, device = self._hub.alarm_devices.presence, found.device
        counter = message.get("counter")
        if not isinstance(counter, int) or isinstance(counter, bool):
            raise UnsignedError("counter")
        if counter <= max(device.last_counter, presence.last_counter(device.id)):
            # A recording of an earlier sign of life would hide that the button is dead.
            raise UnsignedError("replay")
        try:
            beat = HeartbeatIn.model_validate(message)
        except ValidationError:
            beat = HeartbeatIn()
        presence.heard(device.id, battery_pct=beat.battery_pct, counter=counter, via="mqtt")

    async def _alarm(self, found: HouseholdDevice, message: dict[str, Any]) -> dict[str, Any]:
        """Press the alarm. Its id is its nonce: a recording is the same press, stored once."""
        hub = self._hub
        try:
            press = read_press(message, hub.clock.now(), device_id=found.device.id, via="mqtt")
            pressed = await take_press(hub, Presser.of(found), press)
        except HubError as error:
            if error.status >= 500:
                raise
            self._door.refuse(error.code)
            return {"id": message.get("id"), "refused": error.code, "reason": error.message}
        number = pressed.opened
        if not number:
            async with hub.database.read() as session:
                assert pressed.receipt.incident_id is not None
                incident = await incident_rows.by_id(session, pressed.receipt.incident_id)
            number = "" if incident is None else incident.number
        return {
            "id": pressed.id,
            "incident": number,
            "received_at": pressed.receipt.received_at.isoformat(),
        }


def _reason(error: BaseException) -> str:
    """Return what may be logged and shown: the driver's errors quote what was sent."""
    return str(error)[:200] if isinstance(error, aiomqtt.MqttError) else type(error).__name__
