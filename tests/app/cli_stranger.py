"""Runs commands of `camera-hub` as whoever started this process, each in a child of its own.

Reads a JSON list of argument lists on standard input; prints a JSON list of `{status, out, err}`.
Importing the program once for all of them is what makes it quick.
"""

import json
import os
import sys
import tempfile
import traceback
from pathlib import Path


def call(arguments: list[str]) -> dict[str, object]:
    """Run one command as the console script would."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        child = os.fork()
        if child == 0:
            os._exit(_in_child(arguments, out, err))
        _, status = os.waitpid(child, 0)
        return {
            "status": os.waitstatus_to_exitcode(status),
            "out": out.read_text(),
            "err": err.read_text(),
        }


def _in_child(arguments: list[str], out: Path, err: Path) -> int:
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["camera-hub", *arguments]
    status = 0
    try:
        from app.cli.main import main

        main()
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except BaseException:  # noqa: BLE001  # what the interpreter would do
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status


if __name__ == "__main__":
    # Once, before the first fork: this is what takes a command seconds.
    import api.app  # noqa: F401
    import app.cli.main
    import app.migrate
    import app.tables  # noqa: F401

    os.chdir("/")
    json.dump([call(arguments) for arguments in json.load(sys.stdin)], sys.stdout)
