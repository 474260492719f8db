"""Which way a camera's packets take, where the usual one is refused or held up."""

from __future__ import annotations

from typing import Literal

from camera_hub.streams.diagnosis import Failure, transport_refused
from camera_hub.streams.types import Transport

_NEXT: dict[Transport, Transport] = {"tcp": "udp", "udp": "multicast", "multicast": "tcp"}


class Ways:
    """The ways that are tried for one stream, one after the other; `current` is asked for next.

    Whoever left it at the usual one (TCP) gets datagrams where the camera refuses TCP, to this
    machine first, then to a group. Datagrams that were chosen are never replaced by something else.
    """

    def __init__(self, chosen: Transport) -> None:
        self.current: Transport = chosen
        self._chosen = chosen
        self._held_up: Failure | None = None

    @property
    def usual(self) -> bool:
        """Whether nobody chose datagrams."""
        return self._chosen == "tcp"

    @property
    def library(self) -> Transport | Literal["datagrams"]:
        """What the media library is to use in place of `current`."""
        return "datagrams" if self.usual and self.current != "tcp" else self._chosen

    def refused(self, place: str) -> Failure | None:
        """Take that the camera at `place` refuses `current`; return why none is left, if so."""
        self._turn()
        if self.current != self._chosen:
            return None
        held_up, self._held_up = self._held_up, None
        return held_up or transport_refused(place, self._chosen)

    def held_up(self, failure: Failure) -> None:
        """Take that `current` was agreed on and nothing came."""
        self._held_up = failure
        self._turn()

    def _turn(self) -> None:
        if self.usual:
            self.current = _NEXT[self.current]
