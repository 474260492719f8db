"""`camera-hub drill`: rehearse the one-key alarm against the running server of this node."""

import json as json_text
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from app.cli.context import err, opened_hub, out, print_json, print_table, run

if TYPE_CHECKING:
    from core.settings import Settings

_MOST_ALARMS = 10_000
_MOST_RATE = 1000.0


def drill(
    alarms: Annotated[
        int, typer.Option(help="How many alarms are pressed.", min=1, max=_MOST_ALARMS)
    ] = 50,
    rate: Annotated[float, typer.Option(help="How many a second.", min=0.1, max=_MOST_RATE)] = 10.0,
    url: Annotated[
        str, typer.Option(help="Where the server is; default: as the settings say.")
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Press alarms as an exercise and measure: press, receipt, duty desk, acknowledgement.

    Nobody outside is told. What the drill makes (an area, a household, an account) is gone after
    it. The exit status is 1 if an alarm was lost or doubled.
    """

    async def work() -> dict[str, Any]:
        from app.drill import run_drill

        async with opened_hub() as hub:
            where = url.rstrip("/") or _address(hub.settings)
            with Bars(alarms, hidden=json) as progress:
                return await run_drill(hub, where, alarms=alarms, rate=rate, progress=progress)

    figures = run(work)
    if json:
        print_json(figures)
    else:
        _show(figures)
    if figures["lost"] or figures["duplicated"]:
        raise typer.Exit(1)


def _address(settings: "Settings") -> str:
    host = settings.server.host
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104  # of the settings
    return f"http://{host}:{settings.server.port}"


class Bars:
    """Three bars on the screen, or none."""

    def __init__(self, alarms: int, *, hidden: bool) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=err,
            disable=hidden or not err.is_terminal,
        )
        names = ("received", "on the console", "acknowledged")
        self._tasks = [self._progress.add_task(name, total=alarms) for name in names]

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, *done: int) -> None:
        for task, count in zip(self._tasks, done, strict=True):
            self._progress.update(task, completed=count)


def _show(figures: dict[str, Any]) -> None:
    counts = ("alarms", "receipts", "incidents", "lost", "duplicated")
    out.print(", ".join(f"{figures[name]} {name}" for name in counts), highlight=False)
    rows = [
        (name.removesuffix("_ms").replace("_", " "), *figures[name].values())
        for name in ("press_to_receipt_ms", "press_to_console_ms", "press_to_ack_ms")
    ]
    print_table(("ms", "p50", "p95", "p99"), rows, json_text.dumps(figures))
