"""One node of the product: open the port, keep the processes alive."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path

from app.faults import FaultReporter
from app.machine_clock import ClockWatch, journal_of, watch_clock
from app.process import stop_on_signals
from app.supervisor import Supervisor, listen, prepare_directories, write_privately
from core.clock import Clock, SystemClock
from core.logging import get_logger
from core.settings import Settings

log = get_logger("app.serve")


def base_url(listener: socket.socket) -> str:
    """Return the address under which this node's own processes reach the api."""
    host, port, *_ = listener.getsockname()
    address = ip_address(host)
    if address.is_unspecified:
        address = ip_address("::1" if address.version == 6 else "127.0.0.1")
    return f"http://[{address}]:{port}" if address.version == 6 else f"http://{address}:{port}"


@contextlib.asynccontextmanager
async def running_node(
    settings: Settings, clock: Clock | None = None
) -> AsyncIterator[tuple[str, Supervisor]]:
    """Run the whole node while the block runs; gives its address and its supervisor.

    Raises:
        HubError: the data directory, the database or the port cannot be used.
    """
    clock = clock or SystemClock()
    lock = prepare_directories(settings)
    listener: socket.socket | None = None
    try:
        listener = listen(settings)
        url = base_url(listener)
        write_privately(settings.run_dir / "url", url)
        faults = FaultReporter(settings, clock, url)
        supervisor = Supervisor(settings, clock, faults.report)
        supervisor.run_files["url"] = url
        _add_children(supervisor, settings, listener)
        watch = ClockWatch(clock, faults.put, journal_of(settings), area=settings.site.area)
        async with faults.posting():
            watching = asyncio.create_task(watch_clock(watch, clock))
            try:
                await supervisor.start()
                yield url, supervisor
            finally:
                watching.cancel()
                await supervisor.stop()
                # Nobody answers on it any more: a post in progress must not wait for one.
                listener.close()
    finally:
        if listener is not None:
            listener.close()
        lock.close()


def _add_children(supervisor: Supervisor, settings: Settings, listener: socket.socket) -> None:
    """Say which processes this node has."""
    port_fd = listener.fileno()
    supervisor.add("api", "api", "api", str(port_fd), pass_fds=(port_fd,), essential=True)
    if settings.analytics.enabled and settings.media.workers:
        supervisor.add("inference", "inference", rank=1)
    for number in range(settings.media.workers):
        supervisor.add(f"media-{number}", "media", f"media-{number}", rank=2)


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    with stop_on_signals(stop):
        async with running_node(settings) as (url, _):
            log.info("camera hub is running", url=url, data_dir=str(Path(settings.data_dir)))
            await stop.wait()
            log.info("stopping")
