"""Checks of the storage asked for over HTTP: in the background, one at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from camera_hub.recording.index.checking import CheckReport, Depth
from camera_hub.recording.index.service import Recordings
from core.errors import HubError
from core.ids import new_id
from core.logging import get_logger

_KEPT = 20
_log = get_logger("api.storage")


@dataclass
class StorageCheck:
    """One run and how far it is. `failed`: it could not be carried out; `message` says why."""

    depth: Depth
    repair: bool
    id: UUID = field(default_factory=new_id)
    state: Literal["running", "good", "bad", "failed"] = "running"
    done: int = 0
    total: int = 0
    message: str = ""
    report: CheckReport = field(default_factory=CheckReport)


class StorageChecks:
    """The runs of this process; a restart forgets them."""

    def __init__(self) -> None:
        self._runs: dict[UUID, StorageCheck] = {}
        self._task: asyncio.Task[None] | None = None

    def get(self, run_id: UUID) -> StorageCheck | None:
        """Return a run by its id."""
        return self._runs.get(run_id)

    def start(
        self,
        recordings: Recordings,
        depth: Depth,
        repair: bool,
        tell: Callable[[CheckReport], Awaitable[None]],
    ) -> StorageCheck:
        """Begin a run, or return the one that is under way; `tell` is given what it has found."""
        for run in self._runs.values():
            if run.state == "running":
                return run
        run = StorageCheck(depth, repair)
        self._runs[run.id] = run
        for old in list(self._runs)[:-_KEPT]:
            del self._runs[old]
        self._task = asyncio.create_task(_check(run, recordings, tell))
        return run

    async def close(self) -> None:
        """Stop the run that is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


async def _check(
    run: StorageCheck,
    recordings: Recordings,
    tell: Callable[[CheckReport], Awaitable[None]],
) -> None:
    def progress(done: int, total: int, report: CheckReport) -> None:
        run.done, run.total, run.report = done, total, report

    try:
        run.report = await recordings.check(run.depth, repair=run.repair, progress=progress)
        await tell(run.report)
    except OSError as error:
        run.state, run.message = "failed", f"A disk refused: {error.strerror}."
    except (HubError, DBAPIError) as error:
        # What the database says may hold its address.
        what = str(error) if isinstance(error, HubError) else "The database is away."
        run.state, run.message = "failed", what
    else:
        run.state = "good" if run.report.good else "bad"
    finally:
        if run.state == "running":
            run.state, run.message = "failed", "The hub was stopped."
        if run.state == "failed":
            _log.error("storage_check_failed", why=run.message)
