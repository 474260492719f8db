"""What runs beside the requests for alarms: the watch, the broker's client, the panels' port."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from api.alarm_watch import device_watch
from api.hub import Hub
from governance.alarms.doors import Door


class AlarmDoorOut(BaseModel):
    """A way in for alarms beside HTTP. `refused`: messages since the process started, by reason."""

    state: Literal["off", "connecting", "open", "away"]
    since: datetime | None
    reason: str
    received: int
    connections: int
    refused: dict[str, int]


class AlarmDoorsOut(BaseModel):
    """The MQTT broker, and the port of alarm panels (SIA DC-09)."""

    mqtt: AlarmDoorOut
    dc09: AlarmDoorOut


def alarm_loops(hub: Hub) -> dict[str, Callable[[], Awaitable[None]]]:
    """Return what is to run beside the requests, by name."""
    loops: dict[str, Callable[[], Awaitable[None]]] = {"alarm-devices": device_watch(hub).run}
    if hub.settings.mqtt.url:
        # Each brings a protocol's library, which most sites have no use for.
        from api.mqtt_buttons import Buttons

        loops["mqtt"] = Buttons(hub).run
    if hub.settings.dc09.port:
        from api.dc09.listener import Listener

        loops["dc09"] = Listener(hub).run
    return loops


def describe_doors(hub: Hub) -> AlarmDoorsOut:
    """Return how the doors are now."""
    return AlarmDoorsOut(mqtt=_out(hub.alarm_devices.mqtt), dc09=_out(hub.alarm_devices.dc09))


def _out(door: Door) -> AlarmDoorOut:
    return AlarmDoorOut(
        state=door.state,
        since=door.since,
        reason=door.reason,
        received=door.received,
        connections=door.connections,
        refused=dict(sorted(door.refused.items())),
    )
