"""Packets of footage made here, handed to a recorder at any speed on a clock of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av

from camera_hub.recording.disks import Disk, Disks
from camera_hub.recording.files import SegmentRecord
from camera_hub.recording.recorder import Recorder, RecorderOptions
from camera_hub.streams.parameters import Codec, nal_units, parameter_sets, read_info
from camera_hub.streams.types import StreamInfo
from core.clock import ManualClock
from core.ids import new_id
from core.settings_recording import DiskSettings
from tests.support.media import wait_until
from tests.support.media_footage import make_units

START = datetime(2026, 3, 1, 11, 59, 30, tzinfo=UTC)
TICKS = 3600
"""Ticks of 90 kHz from picture to picture at 25 a second."""


@lru_cache
def units_of(codec: Codec = "h264", gop: int = 25, width: int = 320) -> tuple[bytes, ...]:
    """Return 250 access units (ten seconds)."""
    height = width * 3 // 4
    return tuple(make_units(codec=codec, frames=250, gop=gop, width=width, height=height))


def info_of(codec: Codec = "h264", gop: int = 25, width: int = 320) -> StreamInfo:
    """Return the parameters of the footage."""
    first = units_of(codec, gop, width)[0]
    return read_info(codec, parameter_sets(codec, first), first, Fraction(1, 90000))


def packet(number: int, codec: Codec = "h264", gop: int = 25, width: int = 320) -> av.Packet[Any]:
    """Return picture `number` of footage that goes on for ever."""
    units = units_of(codec, gop, width)
    made: av.Packet[Any] = av.Packet(units[number % len(units)])
    made.time_base = Fraction(1, 90000)
    made.dts = made.pts = number * TICKS
    made.is_keyframe = number % gop == 0
    return made


def stored(unit: bytes) -> bytes:
    """Return an access unit as it lies in a file."""
    return b"".join(len(nal).to_bytes(4, "big") + nal for nal in nal_units(unit))


def disk_at(path: Path, clock: ManualClock, *, name: str = "main", quota_gb: float = 0) -> Disk:
    """Return a disk whose folder is `path`; it remembers beside it that it was in use."""
    settings = DiskSettings(name=name, path=path, quota_gb=quota_gb, keep_free_gb=0)
    return Disk(settings, clock, path.parent / "known")


class Rig:
    """A recorder on real disks, a clock that moves with the packets, and what was closed."""

    def __init__(self, *disks: Disk, clock: ManualClock, options: RecorderOptions) -> None:
        self.clock = clock
        self.disks = Disks(disks)
        self.records: list[SegmentRecord] = []
        self.number = 0
        self.camera_id = new_id()
        self.options = options
        self.recorder = self.another()
        self.disks.start()
        wait_until(lambda: not any("looked at yet" in disk.report().reason for disk in disks))

    def another(self, first_sequence: int = 1) -> Recorder:
        """Return a recorder of the same camera, to be handed packets from now on."""
        self.recorder = Recorder(
            self.camera_id,
            "sub",
            self.disks,
            clock=self.clock,
            site="test",
            options=self.options,
            first_sequence=first_sequence,
            on_closed=self.records.append,
        )
        return self.recorder

    def feed(
        self,
        pictures: int,
        *,
        make: Callable[[int], av.Packet[Any]] = packet,
        settle: bool = True,
    ) -> None:
        """Hand over this many pictures, one each 40 ms of the clock; wait for the disks."""
        for _ in range(pictures):
            self.recorder.packet(make(self.number), self.clock.monotonic(), self.clock.now())
            self.number += 1
            self.clock.advance(0.04)
            if settle and self.number % 25 == 0:
                self.settle()
        if settle:
            self.settle()

    def settle(self) -> None:
        """Wait until the disks have done what they were given."""
        for disk in self.disks:
            disk.ask(lambda: None).result(20)

    def close(self) -> None:
        """End recorder and disks."""
        self.recorder.closed()
        self.recorder.settle(at_once=True)
        self.disks.stop(10)
