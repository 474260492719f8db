"""The watch over alarm devices, with the kernel that it reports to."""

from collections.abc import Sequence

from api.hub import Hub
from api.intake import take_in
from core.errors import HubError
from core.logging import get_logger
from core.metrics import counter
from governance.alarms.watching import DeviceWatch
from governance.signals.reading import ReadSignal

_refused = counter("alarm_faults_refused", "Faults of devices that the kernel did not take")
_log = get_logger("api.alarm_watch")


def device_watch(hub: Hub) -> DeviceWatch:
    """Return the watch over the devices of `hub`; run it beside the requests."""

    async def send(signals: Sequence[ReadSignal]) -> None:
        for answer in await take_in(hub, None, signals):
            # What is refused would be the next time, too: the others are watched all the same.
            if isinstance(answer, HubError):
                _refused.inc()
                _log.error("fault_refused", code=answer.code, reason=answer.message)

    return DeviceWatch(hub.database, hub.clock, hub.alarm_devices, send)
