"""Looks for what is missing on this machine and says how to get it."""

import importlib.util
import os
import platform
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.settings import Settings

FREE_SPACE_WANTED = 2 * 1024**3
Verdict = Literal["ok", "warning", "missing"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at: what it is, how it stands, what to do about it."""

    name: str
    verdict: Verdict
    detail: str
    remedy: str = ""


def _python(_: Settings) -> Finding:
    version = platform.python_version()
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Finding("python", "ok", version)
    return Finding("python", "missing", version, "Use Python 3.11, 3.12 or 3.13.")


def _data_dir(settings: Settings) -> Finding:
    path = settings.data_dir
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".doctor"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        return Finding(
            "data directory",
            "missing",
            f"{path}: {error.strerror}",
            "Give this user the right to write there, or set `data_dir`.",
        )
    free = shutil.disk_usage(path).free
    detail = f"{path}, {free / 1024**3:.1f} GiB free"
    if free < FREE_SPACE_WANTED:
        return Finding("data directory", "warning", detail, "Make room: under 2 GiB are left.")
    return Finding("data directory", "ok", detail)


def _database(settings: Settings) -> Finding:
    import asyncio

    from sqlalchemy.exc import SQLAlchemyError

    from core.database import Database
    from core.logging import redact_text

    async def ask() -> None:
        database = Database(settings.database_url)
        try:
            await database.ping()
        finally:
            await database.close()

    kind = settings.database_url.split(":", 1)[0]
    try:
        asyncio.run(ask())
    except (SQLAlchemyError, OSError) as error:
        reason = redact_text(str(error).splitlines()[0])
        return Finding("database", "missing", f"{kind}: {reason}", "Check `database.url`.")
    return Finding("database", "ok", kind)


def _port(settings: Settings) -> Finding:
    address = (settings.server.host, settings.server.port)
    with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            return Finding(
                "port",
                "warning",
                f"{address[0]}:{address[1]}: {error.strerror}",
                "A hub is already running there, or choose another `server.port`.",
            )
    return Finding("port", "ok", f"{address[0]}:{address[1]} is free")


def _console(_: Settings) -> Finding:
    import api

    index = Path(api.__file__).parent / "console" / "index.html"
    if index.exists():
        return Finding("web console", "ok", "built")
    return Finding("web console", "missing", "not built", "Run `make setup`.")


def _media(_: Settings) -> Finding:
    import av

    lacking = [name for name in ("h264", "hevc") if name not in av.codecs_available]
    if lacking:
        return Finding(
            "video libraries", "missing", f"no {', '.join(lacking)}", "Install the PyAV wheel."
        )
    return Finding("video libraries", "ok", f"PyAV {av.__version__}")


def _model(settings: Settings) -> Finding:
    from analytics.models.registry import resolve
    from core.errors import HubError

    try:
        model = resolve(settings.analytics.model, settings.models_path)
    except HubError as error:
        return Finding("detection model", "missing", error.message, error.remedy)
    return Finding("detection model", "ok", f"{model.name} ({model.path})")


def _inference(_: Settings) -> Finding:
    import openvino

    devices = openvino.Core().available_devices
    return Finding("inference", "ok", f"OpenVINO {openvino.__version__}, {', '.join(devices)}")


def _libraries(_: Settings) -> Finding:
    from app.libraries import missing_packages

    if lacking := missing_packages():
        return Finding(
            "libraries",
            "missing",
            f"not installed: {', '.join(lacking)}",
            "Run `make setup`, or install Camera Hub again.",
        )
    return Finding("libraries", "ok", "all installed")


def _cores(_: Settings) -> Finding:
    cores = len(os.sched_getaffinity(0))
    if cores < 2:
        return Finding(
            "processor", "warning", f"{cores} core", "Two cores are the least for detection."
        )
    return Finding("processor", "ok", f"{cores} cores")


def _law(settings: Settings) -> Finding:
    import asyncio

    from sqlalchemy.exc import SQLAlchemyError

    from access.jurisdictions import Law
    from camera_hub.devices.facts import broken_rules
    from core.database import Database
    from core.errors import HubError

    try:
        law = Law.load(settings.data_dir / "jurisdictions", settings.site.jurisdiction)
    except HubError as error:
        return Finding("jurisdiction", "missing", error.message, error.remedy)

    async def ask() -> int:
        database = Database(settings.database_url)
        try:
            async with database.read() as session:
                found = await broken_rules(session, law, settings.site)
                return len({camera.id for camera, _ in found})
        finally:
            await database.close()

    try:
        broken = asyncio.run(ask())
    except (SQLAlchemyError, OSError):
        return Finding("jurisdiction", "ok", f"{law.name}; no cameras to look at yet")
    if broken:
        detail = f"{law.name}; {broken} cameras do not keep to it"
        return Finding("jurisdiction", "warning", detail, "See `camera-hub law check`.")
    return Finding("jurisdiction", "ok", f"{law.name}; every camera keeps to it")


def _optional(_: Settings) -> Finding:
    extras = {"ultralytics": "ultralytics", "optimize": "nncf"}
    there = [name for name, module in extras.items() if importlib.util.find_spec(module)]
    absent = [name for name in extras if name not in there]
    detail = f"there: {', '.join(there) or 'none'}; not there: {', '.join(absent) or 'none'}"
    remedy = f"Only if wanted: `pip install 'camera-hub[{','.join(absent)}]'`." if absent else ""
    return Finding("extras", "ok", detail, remedy)


def _clock(settings: Settings) -> Finding:
    from analytics.rules.journal import EventJournal
    from app.machine_clock import journal_of, synchronised

    kept = synchronised()
    if kept is False:
        return Finding(
            "clock",
            "warning",
            "not kept by NTP: what is recorded gets wrong times",
            "Switch a time service on: `timedatectl set-ntp true`.",
        )
    if EventJournal(journal_of(settings)).key("set"):
        return Finding(
            "clock",
            "warning",
            "was set lately: recordings around it have a gap, or two times",
            "If nobody meant to: look at the time service, and at the machine's battery.",
        )
    if kept is None:
        detail = "whether NTP keeps it cannot be told here, as in a container"
        return Finding("clock", "ok", detail, "See that the host's clock is kept by NTP.")
    return Finding("clock", "ok", "kept by NTP")


CHECKS: tuple[Callable[[Settings], Finding], ...] = (
    _python,
    _libraries,
    _cores,
    _clock,
    _data_dir,
    _database,
    _port,
    _console,
    _media,
    _inference,
    _model,
    _law,
    _optional,
)


def examine(settings: Settings) -> Iterator[Finding]:
    """Run every check in turn; each yields one finding."""
    for check in CHECKS:
        yield check(settings)
