"""A disk that is really full: nothing opens, what was consented to ends, and it heals."""

import asyncio
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.clock import ManualClock
from tests.api.test_consent import Home, home
from tests.support.http import SignIn
from tests.support.live import (
    AREA,
    camera_server,
    closed,
    reading,
    receive_media,
    scene,
)
from tests.support.stores import create_tables, run_apart

__all__ = ["camera_server", "home", "reading", "scene"]

pytestmark = pytest.mark.faults

DISK_BYTES = 12 * 1024**2


class Disk:
    """A small file system with the store on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = path / "camera-hub.db"
        self._filler = path / "filler"

    def fill(self) -> None:
        """Leave no block, and nothing in the write-ahead log that could be used again."""
        with sqlite3.connect(self.store, timeout=30) as connection:
            assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        with self._filler.open("wb", buffering=0) as file:
            for block in (64 * 1024, 4096):
                try:
                    while True:
                        file.write(b"x" * block)
                except OSError:
                    continue

    def free(self) -> None:
        """Give the space back."""
        self._filler.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Mount a small file system."""
    if os.geteuid() != 0:
        pytest.skip("needs root: a small file system is mounted for the store")
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "tmpfs", str(path)]
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted: {done.stderr.strip()}")
    yield Disk(path)
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def hub_url(disk: Disk) -> str:
    """The store lies on the small disk."""
    url = f"sqlite+aiosqlite:///{disk.store}"
    run_apart(create_tables(url))
    return url


async def test_on_a_full_disk_no_picture_leaves_and_a_withdrawal_still_cuts(
    home: Home, disk: Disk, sign_in: SignIn, clock: ManualClock
) -> None:
    """The view that runs ends at once, nobody gets in again, and the member is told."""
    guest = await sign_in("resident", AREA, at=home.scene.server)
    grant = await home.share(guest)
    withdraw = f"/api/v1/grants/{grant['id']}/withdraw"
    async with home.scene.watch(guest) as socket, home.scene.watch(home.member) as own:
        await receive_media(socket)
        await receive_media(own)
        before = len(await home.scene.records())
        disk.fill()
        # A viewer without a record is shown nothing, whoever it is.
        assert await home.looks(home.member) == 507
        async with home.scene.watch(home.member) as second:
            assert (await closed(second))[0] == 4507
        # All sessions are due to be marked as in use, which cannot be written either.
        clock.advance(120)
        answer = await home.member.post(withdraw)
        assert answer.status_code == 507
        assert answer.json()["code"] == "withdrawal-not-recorded"
        async with asyncio.timeout(2.0):
            assert (await closed(socket))[0] == 4403
        await receive_media(own, 20)
    assert await home.looks(guest) == 404
    shown = (await home.member.get("/api/v1/grants")).json()["items"]
    assert [(g["id"], g["state"], g["open_now"]) for g in shown] == [(grant["id"], "live", False)]

    disk.free()
    # Not before it is written does it open to anybody again.
    assert await home.looks(guest) == 404
    answer = await home.member.post(withdraw)
    assert (answer.status_code, answer.json()["state"]) == (200, "ended")
    assert await home.looks(guest) == 404
    assert len(await home.scene.records()) == before
    async with home.scene.watch(home.member) as again:
        await receive_media(again)
