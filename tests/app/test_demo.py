"""The demo's own parts: its directory, its figures, and footage that is none."""

import math
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.cli.demo import demo_settings
from app.demo import FOOTAGE, MARKER, Tally, fresh_directory
from app.supervisor import prepare_directories
from core.errors import HubError

SCRIPT = Path(sys.executable).with_name("camera-hub")


def test_a_directory_that_is_no_demos_is_never_emptied(tmp_path: Path) -> None:
    """A mistyped --data-dir costs nobody a file."""
    kept = tmp_path / "letter.txt"
    kept.write_text("dear Anna")
    with pytest.raises(HubError, match="was not made by the demo") as told:
        fresh_directory(tmp_path)
    assert "--data-dir" in told.value.remedy
    assert kept.read_text() == "dear Anna"


def test_the_demos_directory_is_emptied_but_for_prepared_footage(tmp_path: Path) -> None:
    """New, empty, or left by a demo before: each is a fresh start; a link is not followed."""
    kept = tmp_path / "letters" / "letter.txt"
    kept.parent.mkdir()
    kept.write_text("dear Anna")
    path = tmp_path / "a" / "demo"
    path.parent.mkdir()
    fresh_directory(path)
    assert [p.name for p in path.iterdir()] == [MARKER]
    for name in ("run", FOOTAGE):
        (path / name).mkdir()
        (path / name / "file").touch()
    (path / "camera-hub.db").touch()
    (path / "link").symlink_to(kept.parent)
    fresh_directory(path)
    assert {p.name for p in path.iterdir()} == {MARKER, FOOTAGE}
    assert (path / FOOTAGE / "file").exists()
    assert kept.read_text() == "dear Anna"


def test_a_second_demo_leaves_the_directory_of_a_running_one_alone(tmp_path: Path) -> None:
    """It says that one is running; afterwards the same directory may be used again."""
    loaded = demo_settings(tmp_path / "demo", port=0)
    lock = prepare_directories(loaded)
    spooled = loaded.data_dir / "spool.db"
    spooled.touch()
    with pytest.raises(HubError, match="A demo is already running"):
        demo_settings(loaded.data_dir, port=0)
    assert spooled.exists()
    lock.close()
    demo_settings(loaded.data_dir, port=0)
    assert not spooled.exists()


def test_a_file_in_the_directorys_place_is_said_plainly(tmp_path: Path) -> None:
    """No traceback for a path that cannot be a directory."""
    path = tmp_path / "file"
    path.write_text("dear Anna")
    with pytest.raises(HubError, match="Not a directory"):
        fresh_directory(path)
    assert path.read_text() == "dear Anna"


def test_footage_that_is_no_video_ends_the_demo_with_one_line(tmp_path: Path) -> None:
    """The line names the file and what to give instead; nothing is printed as figures."""
    text = tmp_path / "notes.mp4"
    text.write_text("nothing to see here\n" * 100)
    command = ["--data-dir", str(tmp_path / "demo"), "demo", "--headless", "--seconds", "15"]
    done = subprocess.run(
        [str(SCRIPT), *command, "--json", "--footage", str(text)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    # Lines of progress come before it.
    errors = [line for line in done.stderr.splitlines() if not line.startswith("… ")]
    assert len(errors) == 1, done.stderr
    assert errors[0].startswith("camera-hub: notes.mp4 is not a video")


latencies = st.lists(st.integers(0, 99_999).map(lambda n: n / 10), min_size=1, max_size=60)


@given(latencies, st.integers(1, 100))
@example([float(n) for n in range(100)], 7)
@example([0.0, 0.1], 50)
@example([float(n) for n in range(20)], 95)
def test_a_percentile_is_the_nearest_rank(found: list[float], percent: int) -> None:
    """The smallest value that at least so many per cent of all are not above."""
    told = Tally(latencies_ms=found).percentile(percent / 100)
    assert told == sorted(found)[math.ceil(len(found) * percent / 100) - 1]


@given(latencies)
def test_the_half_is_the_lower_median(found: list[float]) -> None:
    """As the statistics library defines it."""
    assert Tally(latencies_ms=found).percentile(0.5) == statistics.median_low(found)


def test_without_a_latency_there_is_no_percentile() -> None:
    """Not a nought that looks like a very fast alert."""
    assert Tally().percentile(0.95) is None
