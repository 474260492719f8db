"""Running a probe beside the event loop: parsing and the media library's calls block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from core.errors import UnavailableError

T = TypeVar("T")
MOST_AT_ONCE = 8
_running = threading.BoundedSemaphore(MOST_AT_ONCE)


async def in_thread(work: Callable[[], T], name: str) -> T:
    """Run `work` on a daemon thread of its own and return or raise what it does.

    Not the loop's own pool: a slow camera must not keep others from it, nor a process from
    ending. If the caller is cancelled, the thread ends by itself and its result is dropped.

    Raises:
        UnavailableError: too many run already.
    """
    if not _running.acquire(blocking=False):
        raise UnavailableError(
            f"{MOST_AT_ONCE} cameras are being asked already.",
            remedy="Try again in a few seconds.",
            code="too-many-probes",
        )
    future: Future[T] = Future()
    # From now on it cannot be cancelled: the thread cannot be stopped either.
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed to the caller, who raises it
            future.set_exception(error)
        finally:
            _running.release()

    threading.Thread(target=run, name=name, daemon=True).start()
    return await asyncio.wrap_future(future)
