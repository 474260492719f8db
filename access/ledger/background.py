"""Verifications asked for over HTTP: each in a process of its own, one at a time."""

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import orjson

from access.ledger.keys import LedgerKeys
from access.ledger.reading import verify
from core.database import Database
from core.errors import HubError
from core.ids import new_id
from core.logging import get_logger

_KEPT = 20
_log = get_logger("access.ledger")


@dataclass
class Verification:
    """One run and how far it is. `failed` says that it could not be carried out."""

    id: UUID = field(default_factory=new_id)
    state: Literal["running", "good", "bad", "failed"] = "running"
    checked: int = 0
    total: int = 0
    bad: Mapping[str, Any] | None = None
    notes: list[str] = field(default_factory=list)


class Verifications:
    """The runs of this process; a restart forgets them."""

    def __init__(self) -> None:
        self._runs: dict[UUID, Verification] = {}
        self._task: asyncio.Task[None] | None = None

    def get(self, run_id: UUID) -> Verification | None:
        """Return a run by its id."""
        return self._runs.get(run_id)

    def start(self, url: str, directory: Path, keys_dir: Path, now_us: int) -> Verification:
        """Begin a run, or return the one that is under way."""
        for run in self._runs.values():
            if run.state == "running":
                return run
        run = Verification()
        self._runs[run.id] = run
        for old in list(self._runs)[:-_KEPT]:
            del self._runs[old]
        order = {
            "url": url,
            "directory": str(directory),
            "keys_dir": str(keys_dir),
            "now_us": now_us,
        }
        self._task = asyncio.create_task(self._run(run, orjson.dumps(order)))
        return run

    async def close(self) -> None:
        """Stop the run that is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, run: Verification, order: bytes) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "access.ledger.background",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(order)  # not among the arguments: the URL may hold a password
            process.stdin.write_eof()
            async for line in process.stdout:
                for name, value in orjson.loads(line).items():
                    if hasattr(run, name):
                        setattr(run, name, value)
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            if run.state == "running":
                run.state = "failed"
                _log.error("ledger_verification_failed", exit=process.returncode)


async def _main(order: Mapping[str, Any]) -> None:
    def tell(values: Mapping[str, Any]) -> None:
        sys.stdout.buffer.write(orjson.dumps(values) + b"\n")
        sys.stdout.buffer.flush()

    database = Database(order["url"])
    try:
        verdict = await verify(
            database,
            Path(order["directory"]),
            LedgerKeys(Path(order["keys_dir"])).public(),
            now_us=order["now_us"],
            progress=lambda checked, total: tell({"checked": checked, "total": total}),
        )
    except (HubError, OSError) as error:
        tell({"state": "failed", "notes": [str(error)]})
    else:
        tell(verdict.to_json())
    finally:
        await database.close()


if __name__ == "__main__":
    os.nice(10)
    asyncio.run(_main(orjson.loads(sys.stdin.buffer.read())))
