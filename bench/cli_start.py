"""What a command, and a process of a node, costs before it does anything: time and memory.

Processor time of the process and its children, so that a busy machine says nearly the same as an
idle one; the median of three runs, with `--long` of ten.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HUB = str(Path(sys.executable).with_name("camera-hub"))
ROLES = {
    "api": "import app.api_process",
    "media": "import app.media_process",
    "inference": "import app.inference_process",
    "supervisor": "import app.serve",
}


def _once(command: list[str]) -> tuple[float, float]:
    """Return the processor seconds of one run, and the most memory it held in MB."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def _measure(command: list[str], runs: int) -> dict[str, float]:
    _once(command)  # the files are in memory, and compiled
    found = [_once(command) for _ in range(runs)]
    return {
        "cpu_s": round(statistics.median(cpu for cpu, _ in found), 3),
        "rss_mb": round(statistics.median(memory for _, memory in found), 1),
    }


def run(*, long: bool) -> dict[str, dict[str, float]]:
    """Return the figures of each command, of each role's imports, and of what is below them."""
    runs = 10 if long else 3
    with tempfile.TemporaryDirectory() as folder:
        data = [HUB, "--data-dir", folder]
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "python -c 'import typer'": [sys.executable, "-c", "import typer"],
            "python -c 'import sqlalchemy.orm'": [sys.executable, "-c", "import sqlalchemy.orm"],
            "python -c 'import fastapi'": [sys.executable, "-c", "import fastapi"],
            "camera-hub --help": [HUB, "--help"],
            "camera-hub --version": [HUB, "--version"],
            "camera-hub cameras list --help": [HUB, "cameras", "list", "--help"],
            **{
                f"camera-hub {words}": [*data, *words.split()]
                for words in ("cameras list", "recordings list", "incidents list", "users list")
            },
            **{f"imports of {name}": [sys.executable, "-c", it] for name, it in ROLES.items()},
        }
        _once([*data, "db", "upgrade"])
        figures = {}
        for name, command in commands.items():
            figures[name] = _measure(command, runs)
            print(f"{name}: {json.dumps(figures[name])}", file=sys.stderr)
    return figures
