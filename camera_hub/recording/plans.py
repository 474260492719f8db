"""When a camera records: its mode, its weekly hours on the site's wall clock, and events.

On the wire and in the camera's row: `{mode, role, schedule: [{days, from, to}], pre_s, post_s}`.
`days` are `mon` … `sun`, `from` and `to` are `HH:MM`; a window whose end is not after its start
runs past midnight. What people may set is in `camera_hub/devices/recording_plan.py`. Hours are
read on the wall clock of the site: where the clock is put back, an hour that is shown twice counts
twice; where it is put forward, a window inside the missing hour never runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, tzinfo
from typing import Any, Literal

from camera_hub.streams.types import StreamRole
from core.weekly import runs_at

Mode = Literal["off", "always", "schedule", "event"]
Cause = Literal["always", "schedule", "event"]
PRE_S = 10.0
POST_S = 30.0
LONGEST_PRE_S = 60.0
LONGEST_POST_S = 600.0


@dataclass(frozen=True, slots=True)
class Window:
    """Hours on some days of the week."""

    days: frozenset[str]
    start: time
    end: time

    def runs(self, local: datetime) -> bool:
        """Say whether it runs at this time on the site's wall clock."""
        return runs_at(self.days, self.start, self.end, local)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a camera records. `pre_s` and `post_s`: seconds kept before and after an event."""

    mode: Mode = "off"
    role: StreamRole = "main"
    schedule: tuple[Window, ...] = ()
    pre_s: float = PRE_S
    post_s: float = POST_S

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """Read a camera's `recording`; an empty one is off.

        Raises:
            KeyError, ValueError, TypeError: it has not the agreed shape.
        """
        mode = data.get("mode", "off")
        role = data.get("role", "main")
        if mode not in ("off", "always", "schedule", "event") or role not in ("main", "sub"):
            raise ValueError(f"recording is neither off nor known: {mode}, {role}")
        windows = tuple(
            Window(
                frozenset(str(day) for day in window["days"]),
                time.fromisoformat(window["from"]),
                # The end of the day may be said in two ways.
                time.fromisoformat("00:00" if window["to"] == "24:00" else window["to"]),
            )
            for window in data.get("schedule") or ()
        )
        return cls(
            mode,
            role,
            windows,
            min(max(float(data.get("pre_s", PRE_S)), 0.0), LONGEST_PRE_S),
            min(max(float(data.get("post_s", POST_S)), 0.0), LONGEST_POST_S),
        )

    @property
    def reads(self) -> bool:
        """Whether the stream must be read at all."""
        return self.mode != "off"

    def cause(self, at: datetime, zone: tzinfo) -> Cause | None:
        """Return why to record at an instant, whatever is seen; None for no reason.

        A schedule without windows never runs.
        """
        if self.mode == "always":
            return "always"
        if self.mode == "schedule":
            local = at.astimezone(zone)
            if any(window.runs(local) for window in self.schedule):
                return "schedule"
        return None
