"""What the hub itself tells of devices: silent, heard again, a battery low, trouble of a panel."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid5

from governance.signals.reading import ReadSignal, read_signal

SOURCE = "/hub/alarm-devices"
SILENT = "org.camerahub.device.silent"
BATTERY = "org.camerahub.device.battery_low"
TROUBLE = "org.camerahub.device.trouble"

_NAMESPACE = UUID("8a9c1a56-35f7-5a83-9b0c-6b6e4a5f2d10")

Phase = Literal["started", "ended"]


def fault(
    now: datetime,
    *,
    type: str,  # the word of CloudEvents
    about: str,
    at: str,
    headline: str,
    area: str,
    phase: Phase = "started",
    key: str = "",
    severity: Literal["Moderate", "Minor"] = "Moderate",
    **more: Any,
) -> ReadSignal:
    """Return a signal of the hub. The same `about`, `at`, `phase` and `key` make the same signal.

    Args:
        now: in UTC.
        type: `SILENT`, `BATTERY` or `TROUBLE`.
        about: the id of the device, or a word for a thing of the hub.
        at: what tells this fault from the last one of the same device, such as its last heartbeat.
        headline: what happened, and to which device.
        area: of the household.
        phase: whether it begins or is over.
        key: tells troubles of one device apart.
        severity: by CAP.
        more: further members of the data.
    """
    raw = {
        "specversion": "1.0",
        "id": str(uuid5(_NAMESPACE, "\n".join((type, about, at, phase, key)))),
        "source": SOURCE,
        "type": type,
        "subject": about,
        "data": {
            "phase": phase,
            "event_key": f"{about}:{key}" if key else about,
            "category": "Infra",
            "urgency": "Expected",
            "severity": severity,
            "certainty": "Observed",
            "headline": headline[:300],
            "area": area,
            **more,
        },
    }
    return read_signal(raw, now)
