"""`camera-hub cameras discover | import`: many cameras at once."""

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress

from app.cli.cameras import AsJson, PasswordFromStdin, UsernameOption, ask_password
from app.cli.context import err, opened_hub, out, print_json, print_table, run
from core.errors import InvalidInputError

if TYPE_CHECKING:
    from camera_hub.devices.discovery_schemas import DiscoveryOut
    from camera_hub.devices.import_schemas import ImportOut

_LARGEST_LIST = 1_000_000


def discover(
    ranges: Annotated[
        list[str] | None,
        typer.Option(
            "--range", help="Ask every address of it: 192.168.1.0/24, 192.168.1.10-60; repeatable."
        ),
    ] = None,
    multicast: Annotated[bool, typer.Option(help="Call out in the networks of this node.")] = True,
    interface: Annotated[str, typer.Option(help="Only on the one with this address.")] = "",
    ports: Annotated[
        list[int] | None, typer.Option("--port", help="Try for ONVIF instead of the usual ones.")
    ] = None,
    username: UsernameOption = "",
    password_stdin: PasswordFromStdin = False,
    json: AsJson = False,
) -> None:
    """Search for cameras; adds nothing. An account is sent as a digest, to all that answer."""
    from camera_hub.devices.discovery_schemas import DiscoveryRequest
    from camera_hub.devices.onvif import off_by

    password = ask_password(username, password_stdin)
    given: dict[str, Any] = {"ports": ports} if ports else {}
    request = DiscoveryRequest.model_validate(
        {
            "multicast": multicast,
            "interface": interface,
            "ranges": ranges or [],
            "username": username,
            "password": password or None,
            **given,
        }
    )

    async def work() -> "DiscoveryOut":
        from api.camera_discoveries import known_cameras

        async with opened_hub() as hub:
            job = hub.discoveries.begin(request)
            with Progress(console=err, transient=True, disable=not sys.stderr.isatty()) as bar:
                task = bar.add_task("searching", total=max(job.total, 1))
                while job.state == "running":
                    await hub.clock.sleep(0.2)
                    async with hub.database.read() as session:
                        known = await known_cameras(hub, session, None)
                    job = hub.discoveries.read(job.id, known)
                    bar.update(task, completed=job.done)
            found: DiscoveryOut = job
            return found

    job = run(work)
    if json:
        print_json(job.model_dump(mode="json"))
        return
    rows = [
        (
            one.address,
            one.state if one.known_camera_id is None else "known",
            " ".join(part for part in (one.manufacturer, one.model) if part),
            one.name,
            "" if one.clock_offset_s is None else off_by(one.clock_offset_s),
            one.message,
        )
        for one in job.found
    ]
    columns = ("address", "state", "device", "name", "clock", "")
    print_table(columns, rows, "Nothing answers as a camera.")


def import_list(
    file: Annotated[Path, typer.Argument(help="A CSV list; - reads standard input.")],
    dry_run: Annotated[bool, typer.Option(help="Say what would be done, and add nothing.")] = False,
    probe: Annotated[bool, typer.Option(help="In a dry run, ask the cameras as well.")] = False,
    together: Annotated[bool, typer.Option(help="Add all of them or none.")] = False,
    json: AsJson = False,
) -> None:
    """Add the cameras of a list. Those that are there already (name and area) stay as they are."""
    from camera_hub.devices.importing import read_list

    rows = read_list(_bytes_of(file))

    async def work() -> "ImportOut":
        from api.importing import Imports

        async with opened_hub() as hub:
            imports = Imports(hub)
            job = await imports.begin(None, rows, dry_run=dry_run, probe=probe, together=together)
            with Progress(console=err, transient=True, disable=not sys.stderr.isatty()) as bar:
                task = bar.add_task("asking cameras", total=max(job.total, 1))
                while job.state == "running":
                    await hub.clock.sleep(0.2)
                    job = imports.read(job.id, None)
                    bar.update(task, completed=job.done)
            return await imports.wait(job.id, None)

    job = run(work)
    if json:
        print_json(job.model_dump(mode="json"))
    else:
        shown = [(row.line, row.name, row.area, row.state, row.message) for row in job.rows]
        print_table(("line", "name", "area", "state", ""), shown, "The list is empty.")
        counted = Counter(row.state for row in job.rows)
        out.print(", ".join(f"{count} {state}" for state, count in sorted(counted.items())))
    if any(row.state in ("invalid", "failed") for row in job.rows):
        sys.exit(1)


def _bytes_of(file: Path) -> bytes:
    try:
        if str(file) == "-":
            data = sys.stdin.buffer.read(_LARGEST_LIST + 1)
        else:
            with file.open("rb") as opened:
                data = opened.read(_LARGEST_LIST + 1)
    except OSError as error:
        raise InvalidInputError(f"{file} cannot be read: {error.strerror}.") from None
    if len(data) > _LARGEST_LIST:
        raise InvalidInputError(
            "The list is larger than 1 MB.", remedy="Import it in parts.", code="invalid-list"
        )
    return data


def register(app: typer.Typer) -> None:
    """Add these commands to `camera-hub cameras`."""
    app.command("discover")(discover)
    app.command("import")(import_list)
