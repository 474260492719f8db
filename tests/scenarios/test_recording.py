"""A running node records: through a killed worker and a store that is held."""

import asyncio
import itertools
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from app.cli.demo import demo_settings
from app.demo import Demo, running_demo
from camera_hub.recording.disks import PENDING
from camera_hub.recording.format import (
    PART_SUFFIX,
)
from camera_hub.recording.scanning import (
    scan,
)
from camera_hub.simulator.footage import packaged
from core.settings import Settings
from tests.scenarios.test_node_faults import HOLD_THE_STORE
from tests.support.waiting import until

pytestmark = [
    pytest.mark.faults,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
]

PATIENCE_S = 90.0
_SECONDS = 5.0


class Node:
    """A node with one camera that is recorded."""

    def __init__(self, demo: Demo, settings: Settings) -> None:
        self.demo = demo
        self.folder = settings.recording_disks[0].path
        self.store = settings.data_dir / "camera-hub.db"

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of the index in the order in which they were recorded."""
        connection = sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=30)
        connection.row_factory = sqlite3.Row
        try:
            found = connection.execute("SELECT * FROM segment ORDER BY started_at").fetchall()
        finally:
            connection.close()
        return [dict(row) for row in found]

    def files(self) -> list[Path]:
        """Return the closed files."""
        return sorted(self.folder.rglob("*.mp4"))

    async def kill(self, name: str) -> None:
        """SIGKILL a process of the node, and wait until it is back."""
        child = self.demo.supervisor.children[name]
        await until(child.ready.is_set, timeout=PATIENCE_S)
        assert child.process is not None
        restarts = child.restarts
        os.kill(child.process.pid, signal.SIGKILL)
        await until(lambda: child.restarts > restarts, timeout=PATIENCE_S)
        await until(child.ready.is_set, timeout=PATIENCE_S)

    async def indexed(self, more_than: int) -> list[dict[str, Any]]:
        """Wait until the index has more rows than this, and all files that are closed."""

        def enough() -> list[dict[str, Any]] | None:
            rows = self.rows()
            known = {row["path"] for row in rows}
            files = {path.relative_to(self.folder).as_posix() for path in self.files()}
            return rows if len(rows) > more_than and files <= known else None

        found: list[dict[str, Any]] = await until(enough, timeout=PATIENCE_S)
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    """A node whose files are five seconds long."""
    street = packaged()
    if street is None:
        pytest.skip("The street clip is not installed: run `make setup`")
    settings = demo_settings(tmp_path_factory.mktemp("recording") / "data", port=0)
    recording = settings.recording.model_copy(update={"segment_s": _SECONDS})
    settings = settings.model_copy(update={"recording": recording})
    async with running_demo(settings, street.path, 2, print, add=1) as demo:
        yield Node(demo, settings)


async def test_a_new_camera_is_recorded_and_its_files_are_in_the_index(node: Node) -> None:
    rows = await node.indexed(0)
    for row in rows:
        path = node.folder / row["path"]
        found = scan(path)
        assert (found.closed, found.header.segment_id.hex) == (True, row["id"].replace("-", ""))
        assert path.stat().st_size == row["bytes"]
        assert found.header.role == row["role"] == "main"


async def test_a_killed_worker_loses_at_most_the_last_part(node: Node) -> None:
    before = len(await node.indexed(0))
    await until(lambda: list(node.folder.rglob(f"*{PART_SUFFIX}")), timeout=PATIENCE_S)
    await node.kill("media-0")
    rows = await node.indexed(before + 1)
    assert [row["sequence"] for row in rows] == list(range(1, len(rows) + 1))
    assert all(scan(node.folder / row["path"]).closed for row in rows)
    assert not list(node.folder.rglob("*.broken"))


async def test_recording_goes_on_while_the_store_is_held(node: Node) -> None:
    before = await node.indexed(0)
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLD_THE_STORE, str(node.store), "7"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"held\n"
    assert not node.rows()[len(before) :]
    await until(lambda: len(node.files()) > len(before), timeout=PATIENCE_S)
    assert list((node.folder / PENDING).glob("*.json"))
    await holder.wait()
    rows = await node.indexed(len(before) + 1)
    for one, following in itertools.pairwise(rows[len(before) - 1 :]):
        # The store was held for seven seconds. A machine so busy that packets wait in the socket
        # makes the first of them late: what corrects that is marked as a jump.
        apart = (_at(following["started_at"]) - _at(one["ends_at"])).total_seconds()
        assert apart < 1
        assert apart > -1 or following["clock"] == "jumped"
    await until(lambda: not list((node.folder / PENDING).glob("*.json")), timeout=PATIENCE_S)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
