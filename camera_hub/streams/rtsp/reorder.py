"""Datagrams of one track into their order (RFC 3550 appendix A.1): none twice, no wild ones.

What comes as it should goes straight through. Behind a hole datagrams wait, bounded in number,
bytes and time, for what may have been overtaken; then the hole is a loss.
"""

from __future__ import annotations

from collections.abc import Callable

MAX_WAITING = 1024
MAX_WAITING_BYTES = 2 << 20
MAX_WAIT_S = 0.1
"""Networks that overtake do so by milliseconds; the poller looks each 40."""
_MAX_AHEAD = 3000
_MAX_BEHIND = 100
_QUIET_S = 0.5


class Reorder:
    """Hands the datagrams of one track to `take`, in the order of their numbers.

    Counted: `delivered`, and `left_out` what came twice, too late, or from a source (SSRC) that
    is not listened to. One source is: the one that the camera named, else the first that comes;
    another only once that one has been quiet for half a second.
    """

    def __init__(self, payload_type: int, ssrc: int | None, take: Callable[[bytes], None]) -> None:
        self.delivered = self.left_out = 0
        self._type = payload_type
        self._take = take
        self._named = None if ssrc is None else ssrc.to_bytes(4, "big")
        self._ssrc: bytes | None = None
        self._next: int | None = None
        self._bad: int | None = None
        self._heard_at = 0.0
        self._held: dict[int, tuple[bytes, float]] = {}
        self._held_bytes = 0

    @property
    def ssrc(self) -> bytes | None:
        """The source that is listened to; None before the first datagram."""
        return self._ssrc

    def put(self, data: bytes, now: float) -> None:
        """Take a datagram that came at `now` (monotonic seconds)."""
        if len(data) < 12 or data[0] >> 6 != 2 or data[1] & 0x7F != self._type:
            return
        if data[8:12] != self._ssrc and not self._turn_to(data[8:12], now):
            self.left_out += 1
            return
        self._heard_at = now
        number = data[2] << 8 | data[3]
        if number == self._next:
            self._deliver(number, data)
            if self._held:
                self._follow()
            return
        self._out_of_order(number, data, now)

    def expire(self, now: float) -> None:
        """Wait no longer for what has been missing for `MAX_WAIT_S`."""
        while self._held and now - next(iter(self._held.values()))[1] > MAX_WAIT_S:
            self._skip()

    def _out_of_order(self, number: int, data: bytes, now: float) -> None:
        if self._next is None:
            self._deliver(number, data)
            return
        ahead = number - self._next & 0xFFFF
        if ahead >= 0x10000 - _MAX_BEHIND or number in self._held:
            self.left_out += 1
        elif ahead < _MAX_AHEAD:
            self._bad = None
            self._held[number] = (data, now)
            self._held_bytes += len(data)
            while len(self._held) > MAX_WAITING or self._held_bytes > MAX_WAITING_BYTES:
                self._skip()
        elif number == self._bad:
            # Two in a row: the camera counts anew.
            self._flush()
            self._deliver(number, data)
        else:
            self._bad = number + 1 & 0xFFFF
            self.left_out += 1

    def _turn_to(self, ssrc: bytes, now: float) -> bool:
        """Say whether to listen to another source from now on."""
        known = self._ssrc is not None
        if known and ssrc != self._named and now - self._heard_at < _QUIET_S:
            return False
        self._flush()
        self._ssrc, self._next, self._bad = ssrc, None, None
        return True

    def _deliver(self, number: int, data: bytes) -> None:
        self._next = number + 1 & 0xFFFF
        self.delivered += 1
        self._take(data)

    def _follow(self) -> None:
        """Deliver what waited for the one that has just come."""
        while (held := self._held.pop(self._next or 0, None)) is not None:
            self._held_bytes -= len(held[0])
            self._deliver(self._next or 0, held[0])

    def _skip(self) -> None:
        """Give the nearest hole up."""
        after = self._next or 0
        self._next = min(self._held, key=lambda number: number - after & 0xFFFF)
        self._follow()

    def _flush(self) -> None:
        while self._held:
            self._skip()
