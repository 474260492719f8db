"""`camera-hub serve | demo | analyse | doctor | openapi | db …`."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from app.cli.context import err, opened_hub, out, print_json, print_table, run, settings

db = typer.Typer(help="The database's schema.", no_args_is_help=True)

DEMO_DIR = Path(".demo")


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.command()(serve)
    app.command()(demo)
    app.command()(analyse)
    app.command()(doctor)
    app.command()(openapi)
    app.command()(asyncapi)
    app.add_typer(db, name="db")


def serve(
    host: Annotated[str | None, typer.Option(help="Overrides `server.host`.")] = None,
    port: Annotated[int | None, typer.Option(help="Overrides `server.port`.")] = None,
) -> None:
    """Run the hub on this machine until Ctrl-C."""
    from app.serve import serve as serve_node

    server = {k: v for k, v in {"host": host, "port": port}.items() if v is not None}
    loaded = settings({"server": server} if server else None)
    run(lambda: serve_node(loaded))


def demo(
    footage: Annotated[
        Path | None, typer.Option(help="Any video file for the virtual cameras.")
    ] = None,
    cameras: Annotated[int, typer.Option(min=1, max=16, help="How many virtual cameras.")] = 4,
    port: Annotated[int, typer.Option(help="Port of the console; 0 takes any free one.")] = 8480,
    headless: Annotated[
        bool, typer.Option(help="No waiting for a person: run, then stop.")
    ] = False,
    seconds: Annotated[float, typer.Option(min=1, help="With --headless: how long to run.")] = 40,
    json: Annotated[
        bool, typer.Option("--json", help="Print the figures as JSON at the end.")
    ] = False,
) -> None:
    """Show the whole product with four virtual cameras, in a directory of its own."""
    from app.cli.context import state
    from app.cli.demo import run_demo

    data_dir = (state.data_dir or DEMO_DIR).absolute()
    run(
        lambda: run_demo(
            data_dir=data_dir,
            footage=footage,
            cameras=cameras,
            port=0 if headless else port,
            seconds=seconds if headless else None,
            as_json=json,
        )
    )


def analyse(
    file: Annotated[Path, typer.Argument(help="A video file.", show_default=False)],
    zones: Annotated[
        Path | None, typer.Option(help="JSON list of zones; without: the whole picture.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Overrides `analytics.model`.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Run the detection pipeline over a file, faster than real time; one line a signal."""
    from app.analyse import analyse_with_settings, read_zones

    loaded = settings({"analytics": {"model": model}} if model else None)
    drawn = read_zones(zones) if zones is not None else None
    count = 0
    for signal in analyse_with_settings(file, loaded, drawn):
        count += 1
        data = signal["data"]
        if json:
            print_json({**signal, "data": {k: v for k, v in data.items() if k != "attachments"}})
        else:
            at = datetime.fromisoformat(data["observed_at"]).strftime("%H:%M:%S.%f")[:-4]
            confidence = f"{data['confidence']:.2f}" if data.get("confidence") else "    "
            line = f"{at}  {data['phase']:<10}  {confidence}  {data['headline']}"
            out.print(line, soft_wrap=True, highlight=False, markup=False)
    if not json:
        err.print(f"{count} signals" if count else "No signals: nothing entered the zone.")


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Say what is missing on this machine and how to get it."""
    from app.doctor import examine

    loaded = settings()
    found = list(examine(loaded))
    if json:
        print_json([vars(f) for f in found])
    else:
        marks = {"ok": "ok", "warning": "look", "missing": "MISSING"}
        rows = [(marks[f.verdict], f.name, f.detail, f.remedy) for f in found]
        print_table(("", "what", "found", "what to do"), rows, "nothing examined")
    if any(f.verdict == "missing" for f in found):
        sys.exit(1)


def openapi_text() -> str:
    """Return the OpenAPI document as it is kept in web/openapi.json."""
    import orjson

    from api.app import openapi_document

    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
    return orjson.dumps(openapi_document(), option=options).decode() + "\n"


def openapi(
    output: Annotated[Path | None, typer.Option(help="Write to this file.")] = None,
) -> None:
    """Print the OpenAPI document of the HTTP interface."""
    if output is None:
        out.file.write(openapi_text())
    else:
        output.write_text(openapi_text(), encoding="utf-8")


def asyncapi(
    output: Annotated[Path | None, typer.Option(help="Write to this file.")] = None,
) -> None:
    """Print the AsyncAPI document of the events, with the JSON Schema of each."""
    if output is None:
        out.file.write(asyncapi_text())
    else:
        output.write_text(asyncapi_text(), encoding="utf-8")


def asyncapi_text() -> str:
    """Return the AsyncAPI document as it is kept in docs/asyncapi.json."""
    import orjson

    from api.asyncapi import asyncapi_document

    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
    return orjson.dumps(asyncapi_document(), option=options).decode() + "\n"


@db.command("upgrade")
def db_upgrade() -> None:
    """Bring the database to the current schema (`serve` does it by itself)."""

    async def work() -> None:
        async with opened_hub():
            pass  # opening it brings it up to date

    run(work)
    out.print("The database is up to date.")


@db.command("revise")
def db_revise(
    message: Annotated[str, typer.Argument(help="What changes, in a few words.")],
) -> None:
    """For developers: write a migration from the difference between migrations and models."""
    import tempfile

    from app.migrate import revise
    from core.database import Database

    async def write() -> None:
        with tempfile.TemporaryDirectory() as folder:
            database = Database(f"sqlite+aiosqlite:///{folder}/empty.db")
            try:
                await revise(database, message)
            finally:
                await database.close()

    run(write)
