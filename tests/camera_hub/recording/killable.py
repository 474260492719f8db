"""A recorder to be killed: for each line `FOLDER CAMERA [sound]` on stdin a child records, fast.

Run as a process. Each child is forked from a process that has loaded everything and has no
threads. Its pid is printed; in `FOLDER/fed` lie eight bytes, rewritten before each picture: the
number of pictures handed over so far. It waits for the disk after each second of media, as a
recorder does that runs at the speed of its camera.
"""

import mmap
import os
import sys
from pathlib import Path
from uuid import UUID

from camera_hub.recording.care import last_sequence
from camera_hub.recording.disks import Disk, Disks
from camera_hub.recording.recorder import Recorder, RecorderOptions
from core.clock import ManualClock
from core.logging import configure_logging
from core.settings_recording import DiskSettings
from tests.camera_hub.recording import sound_feed
from tests.camera_hub.recording.footage_feed import START, TICKS, info_of, packet


def record(folder: Path, camera_id: UUID, *, sound: bool) -> None:
    """Record until killed."""
    clock = ManualClock(START)
    fed = folder / "fed"
    fed.write_bytes(bytes(8))
    with fed.open("r+b") as file:
        shown = mmap.mmap(file.fileno(), 8)
    disk = Disk(
        DiskSettings(name="main", path=folder / "disk", keep_free_gb=0), clock, folder / "known"
    )
    disk.start()
    while not disk.usable:
        disk.ask(lambda: None).result(10)
    recorder = Recorder(
        camera_id,
        "sub",
        Disks([disk]),
        clock=clock,
        site="test",
        options=RecorderOptions(4, 1.0, 2),
        first_sequence=last_sequence(disk.path, camera_id, "sub") + 1,
        on_closed=lambda _record: None,
    )
    recorder.opened(sound_feed.footage().info if sound else info_of())
    recorder.wish("always", 2)
    number = 0
    while True:
        if sound:
            now = number * TICKS
            for heard in sound_feed.sounds_between(now, now + TICKS):
                recorder.sound(heard)
        shown_now = sound_feed.picture(number) if sound else packet(number)
        recorder.packet(shown_now, clock.monotonic(), clock.now())
        clock.advance(0.04)
        number += 1
        shown[:8] = number.to_bytes(8, "little")
        if number % 25 == 0:
            disk.ask(lambda: None).result(10)


def main() -> None:
    """Fork a child for each line."""
    configure_logging("critical")
    packet(0)
    info_of()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        folder, camera, *more = line.split()
        if more:
            sound_feed.footage()
        child = os.fork()
        if child == 0:
            record(Path(folder), UUID(camera), sound=bool(more))
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        os.waitpid(child, 0)


main()
