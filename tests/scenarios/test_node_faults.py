"""A running node whose parts are killed, stalled, locked out and filled up: it loses no signal."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from analytics.rules.signal import fault_signal
from analytics.spool.poster import SignalPoster
from analytics.spool.store import Spool
from app.cli.demo import demo_settings
from app.demo import Demo, follow, running_demo, signed_in
from app.supervisor import Child
from app.worker_token import token_reader
from camera_hub.simulator.footage import packaged
from core.settings import Settings
from tests.support.waiting import until

pytestmark = [
    pytest.mark.faults,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
]

PATIENCE_S = 90.0
WORKER = "/workers/media-0"
WHOLE = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
RULES = 4
SPOOL_BYTES = 8 * 1024**2
HOLD_THE_STORE = """
import sqlite3, sys, time
store = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
store.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
store.execute("ROLLBACK")
"""

_edits = count(1)


class Node:
    """The running node, and what the tests look at in it."""

    def __init__(self, demo: Demo, settings: Settings, why_not_small: str) -> None:
        self.demo = demo
        self.settings = settings
        self.why_not_small = why_not_small
        self.spool = settings.spool_dir / "media-0"
        self.store = settings.data_dir / "camera-hub.db"

    def child(self, name: str) -> Child:
        """Return a supervised process."""
        return self.demo.supervisor.children[name]

    async def kill(self, name: str) -> None:
        """SIGKILL a process of the node, and wait until its death was noticed."""
        child = self.child(name)
        await until(child.ready.is_set, timeout=PATIENCE_S)
        assert child.process is not None
        restarts = child.restarts
        os.kill(child.process.pid, signal.SIGKILL)
        await until(lambda: child.restarts > restarts, timeout=PATIENCE_S)

    def rows(self, query: str, *values: object) -> list[Any]:
        """Ask the database itself, beside the hub."""
        connection = sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=30)
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()

    def times_stored(self, source: str) -> Counter[str]:
        """Return how often each signal id of `source` is in the database."""
        found = self.rows("SELECT event_id FROM signal WHERE source = ?", source)
        return Counter(row[0] for row in found)


def small_disk(path: Path) -> str:
    """Mount a small file system on `path`; return why that cannot be done, '' when it was."""
    path.mkdir(mode=0o700, parents=True)
    if os.geteuid() != 0:
        return "needs root: a small file system is mounted for the worker's spool"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SPOOL_BYTES},mode=0700", "tmpfs", str(path)],
        check=False,
        capture_output=True,
        text=True,
    )
    return "" if done.returncode == 0 else f"no file system can be mounted: {done.stderr.strip()}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    """A node with one camera of two; its worker's spool lies on a disk of 8 MB."""
    street = packaged()
    if street is None:
        pytest.skip("The street clip is not installed: run `make setup`")
    settings = demo_settings(tmp_path_factory.mktemp("faults") / "data", port=0)
    spool = settings.spool_dir / "media-0"
    why_not_small = small_disk(spool)
    try:
        # The clip has passers-by in nearly every picture: signals come whenever rules change.
        async with running_demo(settings, street.path, 2, print, add=1) as demo:
            yield Node(demo, settings, why_not_small)
    finally:
        if not why_not_small:
            subprocess.run(["umount", "--lazy", str(spool)], check=True)


@pytest_asyncio.fixture(loop_scope="module")
async def admin(node: Node) -> AsyncIterator[httpx.AsyncClient]:
    """A client that may see and change cameras, and see the system's state."""
    async with signed_in(node.demo.url, node.demo.login("admin")) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def duty(node: Node) -> AsyncIterator[httpx.AsyncClient]:
    """A client that sees the queue."""
    async with signed_in(node.demo.url, node.demo.login("duty")) as client:
        yield client


async def answer(client: httpx.AsyncClient, path: str) -> Any:
    """GET `path`; None while the api is away or cannot answer."""
    try:
        got = await client.get(path)
    except httpx.TransportError:
        return None
    return got.json() if got.is_success else None


async def camera(admin: httpx.AsyncClient) -> dict[str, Any]:
    """Return the camera that the node watches."""
    found = await until(lambda: answer(admin, "/cameras"), timeout=PATIENCE_S)
    watched: dict[str, Any] = next(c for c in found["items"] if c["analyse"])
    return watched


async def online(admin: httpx.AsyncClient) -> dict[str, Any]:
    """Wait for the watched camera to be online and return it."""

    async def ask() -> dict[str, Any] | None:
        now = await camera(admin)
        return now if now["status"]["state"] == "online" else None

    found: dict[str, Any] = await until(ask, timeout=PATIENCE_S)
    return found


async def draw(admin: httpx.AsyncClient, *, rules: int = RULES) -> None:
    """Replace the zones by one with `rules` new rules: each makes a signal at once.

    A rule that is replaced ends its event, which is one more signal.
    """
    path = f"/cameras/{(await camera(admin))['id']}/zones"
    current = await until(lambda: answer(admin, path), timeout=PATIENCE_S)
    confidence = 0.2 + next(_edits) / 1000
    rule = {"kind": "intrusion", "confidence": confidence, "cooldown_seconds": 0}
    zones = [{"name": "All", "polygon": WHOLE, "rules": [rule] * rules}] if rules else []
    stored = await admin.put(path, json={"version": current["version"], "zones": zones})
    assert stored.status_code == 200, stored.text


async def settled(admin: httpx.AsyncClient) -> dict[str, int]:
    """Take the rules away, wait until no signal moves any more, and return the counts."""
    await draw(admin, rules=0)
    last: dict[str, Any] = {}

    async def still() -> dict[str, int] | None:
        system = await answer(admin, "/system")
        if system is None or not system["workers"]:
            return None
        worker, counts = system["workers"][0], system["signals"]
        if worker["last_seen_at"] == last.get("beat"):
            return None
        # The counts are as old as the heartbeat; the same twice over means nothing is under way.
        quiet = last.get("counts") == counts and system["spool_depth"] == 0
        last.update(beat=worker["last_seen_at"], counts=counts)
        return counts if quiet else None

    found: dict[str, int] = await until(still, timeout=PATIENCE_S)
    assert found["lost"] == found["rejected"] == 0
    return found


async def incident(duty: httpx.AsyncClient, kind: str, about: str, state: str) -> Any:
    """Return the newest incident of `kind` whose headline names `about`, in `state`, or None."""
    found = await answer(duty, f"/incidents?state={state}&limit=200")
    return next(
        (
            i
            for i in (found or {"items": []})["items"]
            if i["kind"] == kind and about in i["headline"]
        ),
        None,
    )


async def opens_and_heals(duty: httpx.AsyncClient, kind: str, about: str) -> None:
    """Wait until there has been an incident that closed by itself."""

    async def healed() -> bool:
        found = await incident(duty, kind, about, "closed")
        return found is not None and found["resolution"] == "recovered"

    await until(healed, timeout=PATIENCE_S)
    assert await incident(duty, kind, about, "open") is None


async def goes_on_analysing(admin: httpx.AsyncClient) -> None:
    """Wait until more pictures have been looked at than now."""
    before = (await camera(admin))["status"]["frames_analysed"]

    async def more() -> bool:
        return bool((await camera(admin))["status"]["frames_analysed"] > before)

    await until(more, timeout=PATIENCE_S)


async def test_a_camera_that_stalls_or_loses_power_says_so_and_comes_back(
    node: Node, admin: httpx.AsyncClient, duty: httpx.AsyncClient
) -> None:
    """It is never shown as online without pictures, and its lasting fault is an incident."""
    name = (await online(admin))["name"]

    async def fallen(state: str) -> Any:
        status = (await camera(admin))["status"]
        return status if status["state"] == state else None

    await node.demo.site.command("stall 1")
    status = await until(lambda: fallen("stalled"), timeout=PATIENCE_S)
    assert status["reason_code"] == "no_data"
    assert status["reason"]
    await until(lambda: incident(duty, "camera_offline", name, "open"), timeout=PATIENCE_S)
    await node.demo.site.command("resume 1")
    await online(admin)
    await opens_and_heals(duty, "camera_offline", name)

    await node.demo.site.command("kill 1")

    async def gone() -> Any:
        status = (await camera(admin))["status"]
        return status if status["state"] != "online" else None

    status = await until(gone, timeout=PATIENCE_S)
    assert status["reason_code"] in {"refused", "closed_by_camera", "unreachable", "no_data"}
    await node.demo.site.command("restart 1")
    await online(admin)
    await goes_on_analysing(admin)


async def test_a_corrected_password_brings_a_camera_online_without_a_restart(
    node: Node, admin: httpx.AsyncClient
) -> None:
    """Wrong credentials are told apart from a dead camera; the next edit is taken up at once."""
    other = node.demo.site.cameras[1]
    added = await admin.post(
        "/cameras",
        json={
            "source_kind": "rtsp",
            "address": other["rtsp_url"],
            "username": other["username"],
            "password": other["password"],
            "name": "Password",
            "analyse": False,
        },
    )
    assert added.status_code == 201, added.text
    path = f"/cameras/{added.json()['id']}"

    async def edit(password: str, *, probe: bool) -> httpx.Response:
        version = (await admin.get(path)).json()["version"]
        body = {"version": version, "password": password, "probe": probe}
        return await admin.patch(path, json=body)

    async def state(wanted: str) -> Any:
        status = (await admin.get(path)).json()["status"]
        return status if status["state"] == wanted else None

    await until(lambda: state("online"), timeout=PATIENCE_S)
    refused = await edit("not the password", probe=True)
    assert (refused.status_code, refused.json()["code"]) == (502, "camera-unauthorised")
    assert (await edit("not the password", probe=False)).status_code == 200
    status = await until(lambda: state("unauthorised"), timeout=PATIENCE_S)
    assert status["reason_code"] == "wrong_credentials"
    assert (await edit(other["password"], probe=True)).status_code == 200
    await until(lambda: state("online"), timeout=PATIENCE_S)
    assert (await admin.delete(path)).status_code == 204


async def test_a_killed_inference_process_costs_no_camera_its_pictures(
    node: Node, admin: httpx.AsyncClient, duty: httpx.AsyncClient
) -> None:
    """Reading goes on undisturbed; detection is back by itself, and the fault heals."""
    before = await online(admin)
    await goes_on_analysing(admin)
    inference, media = node.child("inference"), node.child("media-0")
    workers = media.restarts
    await node.kill("inference")
    await until(inference.ready.is_set, timeout=PATIENCE_S)
    await goes_on_analysing(admin)
    after = await camera(admin)
    assert after["status"]["state"] == "online"
    assert after["status"]["since"] == before["status"]["since"]
    assert after["status"]["frames_read"] > before["status"]["frames_read"]
    assert media.restarts == workers
    stored = node.times_stored(WORKER).total()
    await draw(admin)
    await until(lambda: node.times_stored(WORKER).total() > stored, timeout=PATIENCE_S)
    await opens_and_heals(duty, "process_failed", "'inference'")


def fill(folder: Path) -> Path:
    """Fill the file system of `folder` to the last block; return the file that does it."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for block in (64 * 1024, 4096):
            try:
                while True:
                    file.write(b"x" * block)
            except OSError:
                continue
    return filler


async def test_a_full_disk_delays_no_signal(
    node: Node, admin: httpx.AsyncClient, duty: httpx.AsyncClient
) -> None:
    """Signals go through memory, the fault is in the queue, and it heals when there is room."""
    if node.why_not_small:
        pytest.skip(node.why_not_small)
    before = await settled(admin)
    filler = fill(node.spool)
    try:
        await draw(admin)
        told = await until(lambda: incident(duty, "spool_trouble", "", "open"), timeout=PATIENCE_S)
        assert "No space left" in told["headline"]
        after = await settled(admin)
        assert after["emitted"] > before["emitted"]
    finally:
        filler.unlink()
    await opens_and_heals(duty, "spool_trouble", "")
    assert after["stored"] - before["stored"] >= after["emitted"] - before["emitted"]
    assert set(node.times_stored(WORKER).values()) == {1}


async def test_a_locked_store_loses_nothing(node: Node, admin: httpx.AsyncClient) -> None:
    """Another process holds SQLite's write lock for five seconds while signals arrive."""
    before = await settled(admin)
    await draw(admin)
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD_THE_STORE, str(node.store), "5", stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"held\n"
    # Reading needs no lock.
    assert (await admin.get("/cameras")).status_code == 200
    assert await holder.wait() == 0
    await draw(admin)

    async def emitted() -> bool:
        system = await answer(admin, "/system")
        return bool(system) and system["signals"]["emitted"] >= before["emitted"] + RULES

    # The worker hears of new rules once a second, and of none if they are gone again before.
    await until(emitted, timeout=PATIENCE_S)
    after = await settled(admin)
    assert after["emitted"] - before["emitted"] >= RULES
    assert after["stored"] - before["stored"] == after["emitted"] - before["emitted"]


@contextmanager
def held(store: Path) -> Iterator[sqlite3.Connection]:
    """Keep everybody else from writing to `store` while the block runs."""
    connection = sqlite3.connect(store, isolation_level=None, timeout=60)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    finally:
        connection.rollback()
        connection.close()


async def test_a_killed_media_worker_loses_and_doubles_no_signal(
    node: Node, admin: httpx.AsyncClient, duty: httpx.AsyncClient
) -> None:
    """What it had not posted yet is posted by its successor; its camera is online again."""
    await online(admin)
    media = node.child("media-0")
    waiting: set[str] = set()
    stored: Counter[str] = Counter()
    for _ in range(5):
        await draw(admin)
        # With the store held, signals pile up in the spool and the number of stored ones stands
        # still. When it was held before the worker heard of the rules, none come: then again.
        with held(node.store), suppress(TimeoutError):
            await until(lambda: list(node.spool.glob("*.json")), timeout=10)
            await node.kill("media-0")
            waiting = {path.stem for path in node.spool.glob("*.json")}
            stored = node.times_stored(WORKER)
        if waiting:
            break
    assert waiting
    await until(media.ready.is_set, timeout=PATIENCE_S)
    await online(admin)
    await goes_on_analysing(admin)
    await draw(admin)
    await until(lambda: waiting <= node.times_stored(WORKER).keys(), timeout=PATIENCE_S)
    after = await settled(admin)
    found = node.times_stored(WORKER)
    assert set(found.values()) == {1}
    assert found.total() == len(stored.keys() | waiting) + after["emitted"]
    assert after["stored"] == found.total()
    await opens_and_heals(duty, "process_failed", "'media-0'")


async def test_a_killed_api_loses_and_doubles_no_signal(node: Node, tmp_path: Path) -> None:
    """Killed three times while alarms come in: each is stored once and told of once."""
    clock, source = node.demo.clock, "/tests/alarm-button"
    spool = Spool(tmp_path / "spool")
    poster = SignalPoster(
        spool, clock, base_url=node.demo.url, token=token_reader(node.settings), source=source
    )
    posted: dict[str, str] = {}

    def press() -> None:
        alarm = fault_signal(
            clock,
            source=source,
            kind="process.failed",
            phase="started",
            event_key=f"press:{len(posted)}",
            headline=f"Press {len(posted)} of the button",
            subject=f"button-{len(posted)}",
        )
        assert spool.put(alarm)
        posted[alarm["id"]] = alarm["data"]["headline"]

    told: list[str] = []

    async def heard() -> bool:
        press()
        return any(text.startswith("Press ") for text in told)

    follower = asyncio.create_task(follow(node.demo, lambda i: told.append(i["headline"])))
    poster.start()
    try:
        await until(heard, timeout=PATIENCE_S, every=0.25)
        deaths = [len(posted) + 12 * n for n in (1, 2, 3)]
        while len(posted) < deaths[-1] + 12:
            press()
            # A few always wait, so that each kill meets the api at work.
            await until(lambda: spool.depth < 6, timeout=PATIENCE_S, every=0.005)
            if len(posted) in deaths:
                await node.kill("api")
        await until(lambda: spool.depth == 0, timeout=PATIENCE_S)
    finally:
        await asyncio.to_thread(poster.close)
    assert (spool.lost, spool.rejected) == (0, 0)
    assert node.times_stored(source) == Counter(posted.keys())
    # From the first event on that the follower saw, it saw each once, whatever died meanwhile.
    first = next(text for text in told if text.startswith("Press "))
    every = list(posted.values())
    wanted = every[every.index(first) :]
    await until(lambda: wanted[-1] in told, timeout=PATIENCE_S)
    assert [text for text in told if text.startswith("Press ")] == wanted
    follower.cancel()
