"""No fault loses a signal: the spool with real kills, a real full disk and a real cut line."""

import os
import resource
import signal as signals
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import orjson
import pytest

from analytics.rules.signal import Signal, fault_signal
from analytics.spool.poster import SignalPoster
from analytics.spool.store import Spool
from core.clock import SystemClock
from tests.analytics.hub_stub import TOKEN, RecordingHub
from tests.support.media import free_port, wait_until

CLOCK = SystemClock()
REPOSITORY = Path(__file__).resolve().parents[2]


def a_signal(headline: str = "Something", size: int = 0) -> Signal:
    made = fault_signal(
        CLOCK,
        source="/workers/media-0",
        kind="camera.offline",
        phase="started",
        event_key="k",
        headline=headline,
    )
    made["data"]["attachments"] = [{"content": "A" * size}] if size else []
    return made


@pytest.fixture
def posting() -> Iterator[Callable[..., SignalPoster]]:
    """Start posters that are closed at the end of the test."""
    with ExitStack() as stack:

        def start(spool: Spool, url: str, token: Callable[[], str] = lambda: TOKEN) -> SignalPoster:
            poster = SignalPoster(
                spool, CLOCK, base_url=url, token=token, source="/workers/media-0"
            )
            stack.callback(poster.close)
            poster.start()
            return poster

        yield start


@pytest.fixture
def hub() -> Iterator[RecordingHub]:
    """A hub that takes everything until told otherwise."""
    with RecordingHub().running() as running:
        yield running


def test_a_restart_goes_on_where_the_last_one_stopped(
    tmp_path: Path, hub: RecordingHub, posting: Callable[..., SignalPoster]
) -> None:
    made = [a_signal(str(number)) for number in range(20)]
    spool = Spool(tmp_path)
    assert all(spool.put(item) for item in made)
    reopened = Spool(tmp_path)
    assert reopened.depth == 20
    poster = posting(reopened, hub.url)
    wait_until(lambda: reopened.depth == 0)
    assert hub.posts == [item["id"] for item in made]
    assert list(hub.committed.values()) == made
    assert poster.counters.posted == 20
    assert poster.counters.lost == poster.counters.rejected == 0
    assert Spool(tmp_path).depth == 0


_WRITER = """
import sys
from pathlib import Path
from analytics.spool.store import Spool
from core.ids import new_id
spool = Spool(Path(sys.argv[1]))
while True:
    made = {"id": str(new_id()), "data": {"content": "A" * 400_000}}
    assert spool.put(made)
    print(made["id"], flush=True)
"""


@pytest.mark.faults
@pytest.mark.parametrize("after", [1, 7, 20])
def test_a_receipt_means_durable_even_when_the_writer_is_killed(tmp_path: Path, after: int) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True,
        cwd=REPOSITORY,
    )  # fmt: skip
    assert writer.stdout is not None
    told = [writer.stdout.readline().strip() for _ in range(after)]
    writer.send_signal(signals.SIGKILL)
    told += [line.strip() for line in writer.stdout if line.endswith("\n")]
    writer.wait()
    spool = Spool(tmp_path)
    found = []
    while (waiting := spool.head()) is not None:
        assert len(orjson.loads(waiting.body)["data"]["content"]) == 400_000
        found.append(waiting.id)
        spool.done(waiting.id)
    assert found[: len(told)] == told
    assert len(found) <= len(told) + 1
    assert spool.rejected == 0
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.faults
def test_a_lost_answer_posts_the_same_id_again(
    tmp_path: Path, hub: RecordingHub, posting: Callable[..., SignalPoster]
) -> None:
    hub.script.extend(["cut", "cut"])
    spool = Spool(tmp_path)
    first, second = a_signal("first"), a_signal("second")
    spool.put(first)
    spool.put(second)
    poster = posting(spool, hub.url)
    wait_until(lambda: spool.depth == 0)
    assert hub.posts == [first["id"]] * 3 + [second["id"]]
    assert list(hub.committed) == [first["id"], second["id"]]
    assert poster.counters.posted == 2


@pytest.mark.faults
def test_signals_wait_for_a_hub_that_is_away(
    tmp_path: Path, posting: Callable[..., SignalPoster]
) -> None:
    port = free_port()
    spool = Spool(tmp_path)
    poster = posting(spool, f"http://127.0.0.1:{port}")
    made = [a_signal(str(number)) for number in range(5)]
    for item in made:
        spool.put(item)
    wait_until(lambda: poster.last_error)
    assert spool.depth == 5
    with RecordingHub(port).running() as hub:
        hub.script.extend([503, 500, 429, 502])
        wait_until(lambda: spool.depth == 0)
        assert list(hub.committed) == [item["id"] for item in made]
    assert poster.counters.posted == 5
    assert poster.last_error == ""


def test_a_token_that_was_replaced_is_asked_for_again(
    tmp_path: Path, hub: RecordingHub, posting: Callable[..., SignalPoster]
) -> None:
    current = ["chub_an-old-one"]
    spool = Spool(tmp_path)
    poster = posting(spool, hub.url, lambda: current[0])
    spool.put(a_signal())
    wait_until(lambda: "401" in poster.last_error)
    assert spool.depth == 1
    current[0] = TOKEN
    wait_until(lambda: spool.depth == 0)
    assert len(hub.committed) == 1


def test_what_the_hub_will_never_take_is_put_aside_and_counted(
    tmp_path: Path, hub: RecordingHub, posting: Callable[..., SignalPoster]
) -> None:
    hub.script.extend([422, 409])
    spool = Spool(tmp_path)
    made = [a_signal(str(number)) for number in range(3)]
    for item in made:
        spool.put(item)
    poster = posting(spool, hub.url)
    wait_until(lambda: spool.depth == 0)
    assert list(hub.committed) == [made[2]["id"]]
    assert poster.counters.rejected == 2
    for item in made[:2]:
        kept = tmp_path / "rejected" / f"{item['id']}.json"
        assert orjson.loads(kept.read_bytes()) == item
        problem = orjson.loads(kept.with_suffix("").with_suffix(".problem.json").read_bytes())
        assert problem["code"] == "invalid-signal"
    assert Spool(tmp_path).depth == 0


def test_what_cannot_be_read_does_not_block_the_rest(tmp_path: Path) -> None:
    first, second = a_signal("one"), a_signal("two")
    assert Spool(tmp_path).put(second)
    # A bad sector cannot be had here; a folder and a ring of links are unreadable in the same way.
    (tmp_path / f"{first['id']}.json").mkdir()
    (tmp_path / "00000000-0000-7000-8000-000000000000.json").symlink_to(
        "00000000-0000-7000-8000-000000000000.json"
    )
    spool = Spool(tmp_path)
    waiting = spool.head()
    assert waiting is not None
    assert waiting.id == second["id"]
    assert spool.rejected == 2


def test_a_damaged_file_does_not_block_the_rest(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    made = [a_signal(str(number)) for number in range(2)]
    for item in made:
        spool.put(item)
    (tmp_path / f"{made[0]['id']}.json").write_bytes(b"\0" * 100)
    reopened = Spool(tmp_path)
    waiting = reopened.head()
    assert waiting is not None
    assert waiting.id == made[1]["id"]
    assert reopened.rejected == 1
    assert (tmp_path / "rejected" / f"{made[0]['id']}.json").exists()


@contextmanager
def small_disk(path: Path) -> Iterator[Callable[[bool], None]]:
    """A directory whose disk is filled with `full(True)` and emptied with `full(False)`.

    A small tmpfs when root may mount one; else a limit on the size of files, which the kernel
    enforces in the same calls.
    """
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(path)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, check=False).returncode == 0
    filler = path / "filler"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(full: bool) -> None:
        if not mounted:
            soft = 1000 if full else limits[0]
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, limits[1]))
        elif full:
            try:
                with filler.open("wb", buffering=0) as file:
                    while True:
                        file.write(bytes(4096))
            except OSError:
                return
        else:
            filler.unlink()

    try:
        yield fill
    finally:
        if mounted:
            subprocess.run(["umount", str(path)], check=True)
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.faults
def test_a_full_disk_loses_no_signal(
    tmp_path: Path, hub: RecordingHub, posting: Callable[..., SignalPoster]
) -> None:
    with small_disk(tmp_path / "disk") as fill:
        spool = Spool(tmp_path / "disk" / "spool")
        before = a_signal("before", size=50_000)
        assert spool.put(before)
        fill(True)
        during = [a_signal(f"during {number}", size=50_000) for number in range(3)]
        assert [spool.put(item) for item in during] == [False] * 3
        assert spool.trouble
        assert spool.depth == 4
        poster = posting(spool, hub.url)
        wait_until(lambda: spool.depth == 0)
        posted = list(hub.committed.values())
        assert [item for item in posted if item["type"].endswith("offline")] == [before, *during]
        trouble = [item for item in posted if item["type"] == "org.camerahub.spool.trouble"]
        assert [item["data"]["phase"] for item in trouble] == ["started"]
        fill(False)
        wait_until(lambda: len(hub.committed) == 6)
        ended = list(hub.committed.values())[-1]["data"]
        assert ended["phase"] == "ended"
        assert ended["event_key"] == trouble[0]["data"]["event_key"]
        assert spool.put(a_signal("after", size=50_000))
        wait_until(lambda: spool.depth == 0)
        assert poster.counters.lost == poster.counters.rejected == 0
        poster.close()


@pytest.mark.faults
def test_a_disk_with_room_again_takes_what_waited_in_memory(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as fill:
        folder = tmp_path / "disk" / "spool"
        spool = Spool(folder)
        fill(True)
        made = [a_signal(str(number), size=50_000) for number in range(3)]
        assert not any(spool.put(item) for item in made)
        assert Spool(folder).depth == 0
        fill(False)
        assert spool.head() is not None
        spool.recheck()
        assert spool.trouble == ""
        assert Spool(folder).depth == 3


def test_only_a_full_memory_loses_and_it_is_counted(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    spool = Spool(folder, memory_limit=3)
    folder.rename(tmp_path / "gone")
    made = [a_signal(str(number)) for number in range(4)]
    made[1]["data"]["phase"] = "continuing"
    for item in made:
        assert not spool.put(item)
    assert spool.lost == 1
    left = []
    while (waiting := spool.head()) is not None:
        left.append(waiting.id)
        spool.done(waiting.id)
    assert left == [made[0]["id"], made[2]["id"], made[3]["id"]]
