"""The watch over alarm devices, with the kernel that it reports to."""

from collections.abc import Sequence

from api.hub import Hub
from api.intake import take_in
from core.errors import HubError
from governance.alarms.watching import DeviceWatch
from governance.signals.reading import ReadSignal


def device_watch(hub: Hub) -> DeviceWatch:
    """Return the watch over the devices of `hub`; run it beside the requests."""

    async def send(signals: Sequence[ReadSignal]) -> None:
        for answer in await take_in(hub, None, signals):
            if isinstance(answer, HubError):
                raise answer

    return DeviceWatch(hub.database, hub.clock, hub.alarm_devices, send)
