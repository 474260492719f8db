"""How the doors beside HTTP are: the MQTT broker, and the port of alarm panels."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from core.clock import Clock
from core.metrics import counter

_refused = counter("alarm_messages_refused", "Messages of devices refused", ("door", "reason"))


@dataclass
class Door:
    """One door as it is now. `refused` counts since the process started, by reason."""

    name: Literal["mqtt", "dc09"]
    clock: Clock
    state: Literal["off", "connecting", "open", "away"] = "off"
    since: datetime | None = None
    reason: str = ""
    received: int = 0
    connections: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def turn(self, state: Literal["off", "connecting", "open", "away"], reason: str = "") -> None:
        """Note a new state; `reason` says why, without any secret."""
        if state != self.state:
            self.since = self.clock.now()
        self.state, self.reason = state, reason

    def refuse(self, reason: str) -> None:
        """Count a message that was refused."""
        self.refused[reason] += 1
        _refused.labels(self.name, reason).inc()
