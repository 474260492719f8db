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
from app.demo import Demo, fresh_directory, report, running_demo
from app.demo_home import HOUSEHOLD, button
from app.process import stop_on_signals
from app.supervisor import hub_runs_on
from core.errors import HubError
from core.settings import Settings


def demo_settings(data_dir: Path, port: int) -> Settings:
    """Return the demo's settings on an emptied `data_dir`.

    Raises:
        HubError: the directory holds something that is not a demo's, or a demo is running on it.
    """
    loaded = settings(
        {
            "data_dir": str(data_dir),
            "server": {"port": port},
            "log": {"level": "warning"},
            "deliveries": {"allow_private": True},  # the demo's telephones are on this machine
        }
    )
    if hub_runs_on(loaded):
        raise HubError(
            f"A demo is already running on {loaded.data_dir}.",
            remedy="Open the address that it printed, or end it with Ctrl-C in its terminal.",
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
    if demo.home is not None:
        grid.add_row(
            f"{HOUSEHOLD} has a camera of its own: [bold]resident[/bold] sees it, [bold]duty[/bold]"
            " does not.\nThe resident agreed that an own alarm opens it to whoever answers that "
            "alarm.\nPress the button with the command below, acknowledge as [bold]duty[/bold], "
            "watch; close it, and the picture ends.\n"
            f"The alarm page of a phone is [bold]{demo.url}/alarm[/bold] (code "
            f"[bold]{demo.home.phone_code}[/bold]), that of a TV [bold]{demo.url}/tv[/bold] (code "
            f"[bold]{demo.home.tv_code}[/bold]). A code counts for ten minutes; the resident makes "
            "new ones on the page of the home."
        )
    if demo.phones is not None:
        grid.add_row(
            f"SMS and calls arrive at [bold]{demo.phones.url}[/bold]; the resident's daughter has "
            "been asked there whether she wants to be told of alarms."
        )
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
    stop, started = asyncio.Event(), asyncio.Event()

    def progress(text: str) -> None:
        err.print(f"… {text}", highlight=False, markup=False)

    async def show() -> dict[str, Any] | None:
        async with running_demo(
            loaded, footage, cameras, progress, on_incident=_announce, with_phones=True
        ) as demo:
            started.set()
            if seconds is None:
                err.print(_welcome(demo))
                if demo.home is not None:
                    # On one line, so that it can be copied.
                    err.print(
                        button(demo.url, demo.home), soft_wrap=True, highlight=False, markup=False
                    )
            await _until(stop, demo, seconds)
            return await report(demo) if seconds is not None else None

    with stop_on_signals(stop):
        showing = asyncio.create_task(show())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({showing, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not started.is_set():
            showing.cancel()  # stopped while it was starting
        stopped.cancel()
        figures = None
        with contextlib.suppress(asyncio.CancelledError):
            figures = await showing
    if figures is not None and as_json:
        sys.stderr.flush()
        print_json(figures)
    elif figures is not None:
        for name, value in figures.items():
            err.print(f"{name}: {value}")


async def _until(stop: asyncio.Event, demo: Demo, seconds: float | None) -> None:
    """Wait until `stop` or for `seconds`.

    Raises:
        HubError: the demo's event stream ended.
    """
    assert demo.follower is not None
    waiter = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait(
            {demo.follower, waiter}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        waiter.cancel()
    if demo.follower.done() and (broken := demo.follower.exception()) is not None:
        raise HubError(f"The event stream ended: {broken}")
