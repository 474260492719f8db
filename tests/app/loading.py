"""Does what is named on standard input, each in a child of its own, and tells what it imported.

Reads a JSON object of lists: `["command", words…]` runs `camera-hub`, `["role", name]` imports
what a process of a node does before it begins. Prints a JSON object: of each the names of all
modules that were loaded by the end, and the exit status.
"""

import contextlib
import importlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path


def _command(words: list[str]) -> int:
    from app.cli.main import main

    sys.argv = ["camera-hub", *words]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            main()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    return 0


def _role(name: str, folder: str) -> int:
    importlib.import_module("app.children")  # the entry of all but the supervisor
    importlib.import_module(
        {
            "supervisor": "app.serve",
            "api": "app.api_process",
            "media": "app.media_process",
            "inference": "app.inference_process",
        }[name]
    )
    if name == "api":
        from api.services import build_hub
        from app.libraries import check_api
        from core.clock import SystemClock
        from core.settings import Settings

        check_api()
        build_hub(Settings.model_validate({"data_dir": folder}), SystemClock())
    return 0


def loaded(wanted: list[str]) -> dict[str, object]:
    """Do one thing in a child; return its exit status and the modules it had at the end."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "told.json")
        child = os.fork()
        if child == 0:
            kind, *words = wanted
            status = 1
            try:
                status = _command(words) if kind == "command" else _role(words[0], folder)
            finally:
                told.write_text(json.dumps({"status": status, "modules": sorted(sys.modules)}))
                os._exit(0)
        os.waitpid(child, 0)
        found: dict[str, object] = json.loads(told.read_text())
        return found


if __name__ == "__main__":
    asked: dict[str, list[str]] = json.load(sys.stdin)
    json.dump({name: loaded(wanted) for name, wanted in asked.items()}, sys.stdout)
