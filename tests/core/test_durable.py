"""Files are there whole or not at all: while they are written, after a kill, on a full disk."""

import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from core.durable import UNFINISHED, replace_file, write_new, write_once
from tests.support.media import wait_until

PIECE = bytes(range(256)) * 1024
REPLACING = """
import sys
from pathlib import Path
from core.durable import replace_file
piece, turn = bytes(range(256)) * 1024, 0
while True:
    turn += 1
    replace_file(Path(sys.argv[1]), piece * (1 + turn % 3))
"""
FULL = """
import resource, sys
from pathlib import Path
from core.durable import replace_file, write_once
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
for write in (replace_file, write_once):
    try:
        write(Path(sys.argv[1]), bytes(65536))
    except OSError:
        print("refused")
"""


def test_a_reader_and_a_kill_find_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    writer = subprocess.Popen([sys.executable, "-c", REPLACING, str(path)])
    try:
        wait_until(path.exists)
        sizes = set()
        for _ in range(200):
            found = path.read_bytes()
            assert found == PIECE * (len(found) // len(PIECE))
            sizes.add(len(found))
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert path.read_bytes() in {PIECE, PIECE * 2, PIECE * 3}
    left = {one.name for one in tmp_path.iterdir()} - {path.name}
    assert all(name.endswith(UNFINISHED) for name in left)


def test_what_does_not_fit_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    replace_file(path, b"before")
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["refused", "refused"]
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_of_many_that_write_once_one_is_first_and_the_rest_are_told(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    gate = threading.Barrier(8)
    outcomes: list[bytes | None] = []

    def write(content: bytes) -> None:
        gate.wait()
        try:
            write_once(path, content)
        except FileExistsError:
            outcomes.append(None)
        else:
            outcomes.append(content)

    threads = [threading.Thread(target=write, args=(b"%d" % n * 4096,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (first,) = [content for content in outcomes if content is not None]
    assert path.read_bytes() == first
    assert len(outcomes) == 8
    assert list(tmp_path.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_new_file_takes_nobody_elses_place(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    write_new(path, b"one")
    with pytest.raises(FileExistsError):
        write_new(path, b"two")
    assert path.read_bytes() == b"one"
