"""Starts the node's processes, watches their pulse, restarts what dies.

It holds no data and opens no database: a fault here can lose nothing. A death it
sees becomes a `process.failed` signal through a spool of its own.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from app.process import BEAT_FD_VARIABLE, SUPERVISOR_VARIABLE
from core.clock import Clock
from core.errors import HubError, UnavailableError
from core.logging import get_logger
from core.settings import Settings

HANG_AFTER_S = 15.0
START_WITHIN_S = 60.0
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 30.0
HEALTHY_AFTER_S = 60.0
# With an arena for each thread, a worker with many cameras keeps twice the memory it uses.
CHILD_ENVIRONMENT = {"MALLOC_ARENA_MAX": "2"}
STOP_WITHIN_S = 8.0

log = get_logger("app.supervisor")


@dataclass
class Child:
    """One supervised process and what is known of it."""

    name: str
    arguments: tuple[str, ...]
    pass_fds: tuple[int, ...] = ()
    essential: bool = False
    rank: int = 0
    process: asyncio.subprocess.Process | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    last_beat: float = 0.0
    started_at: float = 0.0
    restarts: int = 0
    error: str = ""
    task: asyncio.Task[None] | None = None
    backoff_s: float = BACKOFF_FIRST_S


Report = Callable[[str, str, bool], None]
"""Called with (process name, what happened, whether it is running again)."""


class Supervisor:
    """Keeps a set of child processes running until told to stop."""

    def __init__(self, settings: Settings, clock: Clock, report: Report) -> None:
        self._settings = settings
        self._clock = clock
        self._report = report
        self._children: list[Child] = []
        self._stopping = asyncio.Event()
        self.run_files = {settings_file(settings).name: settings.model_dump_json()}
        """What every child reads in the run directory, by name; put back if it is gone."""

    @property
    def children(self) -> dict[str, Child]:
        """The supervised processes by name."""
        return {child.name: child for child in self._children}

    def add(
        self,
        name: str,
        *arguments: str,
        pass_fds: tuple[int, ...] = (),
        essential: bool = False,
        rank: int = 0,
    ) -> None:
        """Supervise `python -m app.children <arguments>` under `name`, from `start()` on.

        Without an essential child nothing starts; a child of higher rank ends before a lower one.
        """
        self._children.append(Child(name, arguments, pass_fds, essential, rank))

    async def start(self) -> None:
        """Start every child and return when they are ready.

        A child that is not essential (detection without a usable model, say) may fail: it is
        tried again and its fault stands in the queue, while everything else works.

        Raises:
            UnavailableError: an essential child failed; the caller stops the others.
        """
        for child in self._children:
            child.task = asyncio.create_task(self._keep(child))
        try:
            await asyncio.wait_for(self._essentials_ready(), START_WITHIN_S)
        except TimeoutError:
            raise UnavailableError(
                f"The hub's processes did not start within {START_WITHIN_S:.0f} s.",
                remedy="The log lines above say why; `camera-hub doctor` looks for causes.",
            ) from None

    async def _essentials_ready(self) -> None:
        """Wait until each child is ready; one that is not essential may have failed instead."""
        for child in self._children:
            while not child.ready.is_set():
                if child.restarts and child.essential:
                    raise UnavailableError(f"The process '{child.name}' ended: {child.error}")
                if child.restarts:
                    break
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """End all children, the highest rank first: workers still find what they depend on."""
        self._stopping.set()
        for rank in sorted({child.rank for child in self._children}, reverse=True):
            await self._end([child for child in self._children if child.rank == rank])

    async def _end(self, children: list[Child]) -> None:
        """SIGTERM, then SIGKILL for those that stay."""
        tasks = [child.task for child in children if child.task is not None]
        for number, patience in ((signal.SIGTERM, STOP_WITHIN_S), (signal.SIGKILL, None)):
            for child in children:
                _send(child, number)
            if tasks:
                _, late = await asyncio.wait(tasks, timeout=patience)
                tasks = list(late)

    async def _keep(self, child: Child) -> None:
        """Run `child` again and again until the supervisor stops."""
        while not self._stopping.is_set():
            try:
                await self._run_once(child)
            except OSError as error:
                # No memory, no descriptor, no disk just now: tried again like any other death.
                child.process = None
                child.error = f"could not be started: {error.strerror}"
            if self._stopping.is_set():
                return
            lived = self._clock.monotonic() - child.started_at
            if lived > HEALTHY_AFTER_S:
                child.backoff_s = BACKOFF_FIRST_S
            child.restarts += 1
            what = _how_it_ended(child)
            log.error("process ended", name=child.name, what=what, restart_in_s=child.backoff_s)
            self._report(child.name, what, False)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), child.backoff_s)
            child.backoff_s = min(child.backoff_s * 2, BACKOFF_MAX_S)

    async def _run_once(self, child: Child) -> None:
        """Start `child` and return when it has ended, by itself or killed for hanging."""
        child.started_at = child.last_beat = self._clock.monotonic()
        self._put_back()
        read_fd, write_fd = os.pipe()
        os.set_blocking(read_fd, False)
        own = {BEAT_FD_VARIABLE: str(write_fd), SUPERVISOR_VARIABLE: str(os.getpid())}
        environment = {**CHILD_ENVIRONMENT, **os.environ, **own}
        try:
            child.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "app.children",
                *child.arguments,
                str(settings_file(self._settings)),
                pass_fds=(write_fd, *child.pass_fds),
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                # Ctrl-C in a terminal reaches the whole group: ending in order is our business.
                start_new_session=True,
            )
        except OSError:
            os.close(read_fd)
            raise
        finally:
            os.close(write_fd)
        pulse = asyncio.create_task(self._listen(child, read_fd))
        try:
            while True:
                try:
                    await asyncio.wait_for(asyncio.shield(child.process.wait()), 1.0)
                    return
                except TimeoutError:
                    self._kill_if_silent(child)
        finally:
            pulse.cancel()
            os.close(read_fd)
            child.ready.clear()

    def _put_back(self) -> None:
        """Make the run directory and its files again where they are gone."""
        directory = self._settings.run_dir
        directory.mkdir(mode=0o700, exist_ok=True)
        for name, content in self.run_files.items():
            if not (directory / name).exists():
                write_privately(directory / name, content)

    async def _listen(self, child: Child, fd: int) -> None:
        """Note every word on the child's pipe."""
        loop = asyncio.get_running_loop()
        heard = asyncio.Event()
        loop.add_reader(fd, heard.set)
        try:
            while True:
                await heard.wait()
                heard.clear()
                with contextlib.suppress(BlockingIOError):
                    words = os.read(fd, 4096)
                    if not words:
                        return
                    child.last_beat = self._clock.monotonic()
                    for word in words.decode(errors="replace").splitlines():
                        self._heard(child, word)
        finally:
            loop.remove_reader(fd)

    def _heard(self, child: Child, word: str) -> None:
        if word.startswith("error "):
            child.error = word.removeprefix("error ")
        elif word == "ready":
            child.error = ""
            child.ready.set()
            log.info("process ready", name=child.name, restarts=child.restarts)
            if child.restarts:
                self._report(child.name, "running again", True)

    def _kill_if_silent(self, child: Child) -> None:
        limit = HANG_AFTER_S if child.ready.is_set() else START_WITHIN_S
        silent = self._clock.monotonic() - child.last_beat
        if silent > limit:
            log.error("process hangs", name=child.name, silent_s=round(silent))
            _send(child, signal.SIGKILL)


def _how_it_ended(child: Child) -> str:
    code = child.process.returncode if child.process is not None else None
    if child.error:
        return child.error
    return f"killed by signal {-code}" if code is not None and code < 0 else f"exit {code}"


def _send(child: Child, number: signal.Signals) -> None:
    if child.process is not None and child.process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            child.process.send_signal(number)


def settings_file(settings: Settings) -> Path:
    """Where the resolved settings lie for the children."""
    return settings.run_dir / "settings.json"


def prepare_directories(settings: Settings) -> IO[str]:
    """Make the data directory and its run directory; return the lock that keeps others out.

    Raises:
        HubError: the directory cannot be written, or another hub runs on it.
    """
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        settings.run_dir.mkdir(mode=0o700, exist_ok=True)
        settings.run_dir.chmod(0o700)
        lock = (settings.run_dir / "lock").open("w")
    except OSError as error:
        raise HubError(
            f"Cannot write to the data directory {settings.data_dir}: {error.strerror}.",
            remedy="Choose another with `data_dir` in the settings or CAMERA_HUB_DATA_DIR.",
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise HubError(
            f"Another Camera Hub is running on {settings.data_dir}.",
            remedy="Stop it first, or give this one a data directory of its own.",
        ) from error
    write_privately(settings_file(settings), settings.model_dump_json())
    return lock


def write_privately(path: Path, content: str) -> None:
    """Write a file that nobody but this account may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)


def hub_runs_on(settings: Settings) -> bool:
    """Tell whether a hub holds the lock of this data directory now."""
    try:
        with (settings.run_dir / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def listen(settings: Settings) -> socket.socket:
    """Open the listening socket that outlives restarts of the api.

    Raises:
        HubError: the address is taken or may not be used.
    """
    host, port = settings.server.host, settings.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise HubError(
            f"Cannot listen on {host} port {port}: {error.strerror}.",
            remedy="Choose another port with `server.port` or `--port`.",
        ) from error
    listener.listen(2048)
    return listener
