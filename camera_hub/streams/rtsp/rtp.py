"""RTP of one track: what is inside a packet, its number and time, the camera's reports."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_HEAD = struct.Struct(">BBHII")
_SENDER_REPORT = struct.Struct(">BBHIIII")
_RECEIVER_REPORT = struct.Struct(">cBHBBHIIIIIII")
_NTP_TO_UNIX = 2_208_988_800
_RESTART = 1000


@dataclass(frozen=True, slots=True)
class SenderReport:
    """What the camera's clock showed (Unix seconds) at an RTP time (RFC 3550 section 6.4.1)."""

    unix_s: float
    ticks: int
    arrived_monotonic: float


class RtpTrack:
    """Reads the packets and reports of one track.

    After `read` has said True: the payload is `data[start:stop]`, `ticks` its RTP time extended
    beyond 32 bits, `missing` how many packets before it did not come (1 where the camera counts
    anew). `lost` counts those of all packets, `report` is the newest sender report.
    """

    __slots__ = (
        "_highest", "_next", "_ssrc", "_stamp", "lost", "marker", "missing", "payload_type",
        "report", "start", "stop", "ticks",
    )  # fmt: skip

    def __init__(self, payload_type: int) -> None:
        self.payload_type = payload_type
        self.start = self.stop = self.ticks = self.missing = self.lost = 0
        self.marker = False
        self.report: SenderReport | None = None
        self._next: int | None = None
        self._stamp: int | None = None
        self._highest = self._ssrc = 0

    @property
    def highest(self) -> int:
        """The number of the newest packet."""
        return self._highest

    @property
    def begun(self) -> bool:
        """Whether any packet has come."""
        return self._stamp is not None

    def read(self, data: bytes, at: int, stop: int) -> bool:
        """Read the packet `data[at:stop]` (RFC 3550 section 5.1); False if it is none of these."""
        if stop - at < 12:
            return False
        flags, kind, sequence, stamp, ssrc = _HEAD.unpack_from(data, at)
        if kind & 0x7F != self.payload_type or flags >> 6 != 2:
            return False
        start = at + 12
        if flags != 0x80:
            start += 4 * (flags & 0x0F)
            if flags & 0x10 and start + 4 <= stop:
                start += 4 + 4 * (data[start + 2] << 8 | data[start + 3])
            if flags & 0x20:
                stop -= data[stop - 1]
            if start > stop:
                return False
        self.missing = 0
        if sequence != self._next or ssrc != self._ssrc:
            self._gap(sequence, ssrc)
        self._next = sequence + 1 & 0xFFFF
        self._highest = sequence
        if stamp != self._stamp:
            if self._stamp is None:
                self.ticks = stamp
            else:
                step = stamp - self._stamp & 0xFFFFFFFF
                self.ticks += step - (1 << 32) if step & 0x80000000 else step
            self._stamp = stamp
        self.start, self.stop, self.marker = start, stop, kind >= 0x80
        return True

    def take_sender_report(self, data: bytes, at: int, arrived: float, channel: int) -> bytes:
        """Take a sender report of at least 28 bytes; return the receiver report to answer with.

        `channel` is the interleaved channel that the answer goes to.
        """
        _, _, _, ssrc, seconds, fraction, stamp = _SENDER_REPORT.unpack_from(data, at)
        if self._stamp is not None and ssrc == self._ssrc and seconds:
            step = stamp - self._stamp & 0xFFFFFFFF
            ticks = self.ticks + (step - (1 << 32) if step & 0x80000000 else step)
            # Seconds since 1900 begin anew in 2036 (RFC 5905 section 6).
            era = seconds if seconds >= 1 << 31 else seconds + (1 << 32)
            unix_s = era - _NTP_TO_UNIX + fraction / (1 << 32)
            self.report = SenderReport(unix_s, ticks, arrived)
        # Some cameras take a viewer for gone who never reports.
        middle = (seconds & 0xFFFF) << 16 | fraction >> 16
        block = (ssrc, 0, self._highest, 0, middle, 0)
        return _RECEIVER_REPORT.pack(b"$", channel, 32, 0x81, 201, 7, ssrc ^ 0xFFFFFFFF, *block)

    def _gap(self, sequence: int, ssrc: int) -> None:
        if self._next is not None:
            missing = sequence - self._next & 0xFFFF
            # A camera that counts anew has lost nothing that could be numbered.
            self.missing = missing if ssrc == self._ssrc and missing < _RESTART else 1
            self.lost += self.missing
        self._ssrc = ssrc
