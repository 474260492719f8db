"""Running a probe beside the event loop: parsing and the media library's calls block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from core.errors import UnavailableError

T = TypeVar("T")
_MOST_AT_ONCE = 8
_running = threading.BoundedSemaphore(_MOST_AT_ONCE)


async def in_thread(work: Callable[[], T], name: str) -> T:
    """Run `work` on a daemon thread of its own and return or raise what it does.

    Not the loop's own pool: a slow camera must not keep others from it, nor a process from
    ending. If the caller is cancelled, the thread ends by itself and its result is dropped.

    Raises:
        UnavailableError: too many run already.
    """
    if not _running.acquire(blocking=False):
        raise UnavailableError(
            f"{_MOST_AT_ONCE} cameras are being asked already.",
            remedy="Try again in a few seconds.",
            code="too-many-probes",
        )
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def deliver(value: T | None, error: BaseException | None) -> None:
        if result.done():
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(value)  # type: ignore[arg-type]  # there is a value or an error

    def run() -> None:
        value, failure = None, None
        try:
            value = work()
        except BaseException as error:  # noqa: BLE001 - handed to the caller, who raises it
            failure = error
        finally:
            _running.release()
        if not loop.is_closed():
            loop.call_soon_threadsafe(deliver, value, failure)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await result
