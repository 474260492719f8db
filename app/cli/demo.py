"""The demo's face on the terminal."""

import asyncio
import contextlib
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.panel import Panel
from rich.table import Table

from app.cli.context import err, print_json, settings
from app.demo import Demo, follow, fresh_directory, report, running_demo
from app.process import stop_on_signals
from core.errors import HubError
from core.settings import Settings


def demo_settings(data_dir: Path, port: int) -> Settings:
    """Return the demo's settings on an emptied `data_dir`.

    Raises:
        HubError: the directory holds something that is not a demo's.
    """
    loaded = settings(
        {"data_dir": str(data_dir), "server": {"port": port}, "log": {"level": "warning"}}
    )
    fresh_directory(loaded.data_dir)
    return loaded


def _welcome(demo: Demo) -> Panel:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("account", "password", "role", "what it does"):
        table.add_column(column)
    for login in demo.logins:
        table.add_row(login.username, login.password, login.role, login.what)
    grid = Table.grid(padding=(1, 0))
    grid.add_row(f"Open [bold]{demo.url}[/bold] and sign in as [bold]duty[/bold]:")
    grid.add_row(table)
    grid.add_row("Turn the sound on in the queue. Ctrl-C ends the demo.")
    return Panel(grid, title="Camera Hub is running", expand=False)


def _announce(incident: dict[str, Any]) -> None:
    at = datetime.fromisoformat(incident["opened_at"]).astimezone().strftime("%H:%M:%S")
    err.print(
        f"{at}  incident #{incident['number']}  {incident['severity']:<8}  {incident['headline']}",
        highlight=False,
        markup=False,
    )


async def run_demo(
    *,
    data_dir: Path,
    footage: Path | None,
    cameras: int,
    port: int,
    seconds: float | None,
    as_json: bool,
) -> None:
    """Run the demo until Ctrl-C, or for `seconds` and print its figures."""
    loaded = demo_settings(data_dir, port)
    stop = asyncio.Event()

    def progress(text: str) -> None:
        err.print(f"… {text}", highlight=False, markup=False)

    with stop_on_signals(stop):
        async with running_demo(loaded, footage, cameras, progress) as demo:
            if seconds is None:
                err.print(_welcome(demo))
            follower = asyncio.create_task(follow(demo, _announce))
            waiter = asyncio.create_task(stop.wait())
            await asyncio.wait(
                {follower, waiter}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            figures = await report(demo) if seconds is not None else None
            broken = follower.exception() if follower.done() else None
            for task in (follower, waiter):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiter
    if broken is not None:
        raise HubError(f"The event stream ended: {broken}")
    if figures is not None and as_json:
        sys.stderr.flush()
        print_json(figures)
    elif figures is not None:
        for name, value in figures.items():
            err.print(f"{name}: {value}")
