"""`camera-hub cameras probe | add | list | remove`."""

import sys
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

import typer

from app.cli.context import (
    check_known_areas,
    err,
    opened_hub,
    out,
    print_json,
    print_table,
    reading,
    run,
    settings,
)
from core.errors import InvalidInputError

if TYPE_CHECKING:
    from camera_hub.devices.schemas import CameraCreate, ProbeOut

app = typer.Typer(help="Cameras.", no_args_is_help=True)

AddressArgument = Annotated[
    str, typer.Argument(help="host[:port] of an ONVIF camera, or rtsp://…", show_default=False)
]
UsernameOption = Annotated[str, typer.Option(help="Account on the camera.")]
PasswordFromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


def ask_password(username: str, from_stdin: bool) -> str:
    """Return the password, typed or from standard input; "" without either."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    if username and sys.stdin.isatty():
        typed: str = typer.prompt(f"Password of {username}", hide_input=True, default="")
        return typed
    return ""


def _kind(address: str) -> Literal["onvif", "rtsp"]:
    return "rtsp" if address.lower().startswith(("rtsp://", "rtsps://")) else "onvif"


@app.command("probe")
def probe(
    address: AddressArgument,
    username: UsernameOption = "",
    password_stdin: PasswordFromStdin = False,
    json: AsJson = False,
) -> None:
    """Ask a device what it is and which streams it offers; stores nothing."""
    from camera_hub.devices.onvif import off_by

    # Also begins logging with redaction, before the ONVIF library begins its own.
    found_settings = settings()
    password = ask_password(username, password_stdin)

    async def work() -> "ProbeOut":
        from api.cameras import probe_out
        from camera_hub.devices.probing import Prober
        from camera_hub.streams.reach import Reach
        from core.clock import SystemClock

        prober = Prober(SystemClock(), reach=Reach.of(found_settings))
        return probe_out(await prober.probe(_kind(address), address, username, password))

    found = run(work)
    if json:
        print_json(found.model_dump(mode="json"))
        return
    if found.device is not None:
        d = found.device
        out.print(f"{d.manufacturer} {d.model}, firmware {d.firmware}, serial {d.serial}")
    if found.clock_offset_s is not None:
        out.print(f"its clock is {off_by(found.clock_offset_s)}", highlight=False)
    rows = [
        (
            "main" if p.token == found.main else "sub" if p.token == found.sub else "",
            p.token,
            p.codec,
            f"{p.width}x{p.height}",
            f"{p.fps:g} fps",
            p.stream_url,
        )
        for p in found.profiles
    ]
    print_table(("", "profile", "codec", "size", "rate", "stream"), rows, "No profiles.")
    for warning in found.warnings:
        err.print(f"! {warning.message}", highlight=False, soft_wrap=True)


def _body(**fields: object) -> "CameraCreate":
    from pydantic import ValidationError

    from camera_hub.devices.schemas import CameraCreate

    try:
        return CameraCreate.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]).replace("_", "-")
        raise InvalidInputError(f"--{where}: {first['msg']}.") from error


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What people call the place.", show_default=False)],
    address: AddressArgument,
    username: UsernameOption = "",
    password_stdin: PasswordFromStdin = False,
    area: Annotated[str, typer.Option(help="e.g. county/town/garden.")] = "",
    place: Annotated[
        str, typer.Option(help="public_space, shared_space or home.")
    ] = "shared_space",
    household: Annotated[UUID | None, typer.Option(help="Id of the household of a home.")] = None,
    place_type: Annotated[
        str, typer.Option(help="What it looks at, e.g. lift; `camera-hub law show` lists them.")
    ] = "",
    purpose: Annotated[str, typer.Option(help="What it is for.")] = "",
    owner: Annotated[str, typer.Option(help="Who answers for it; default: `site.owner`.")] = "",
    contact: Annotated[str, typer.Option(help="Whom to ask; default: `site.contact`.")] = "",
    retention_hours: Annotated[
        int | None, typer.Option(help="How long recordings are kept; default: the law's.")
    ] = None,
    retention_reason: Annotated[str, typer.Option(help="Why longer than the law expects.")] = "",
    signage: Annotated[bool, typer.Option(help="A sign hangs beside it.")] = False,
    residents_may_watch: Annotated[
        bool, typer.Option(help="Residents watch this shared space, people blurred.")
    ] = False,
    analyse: Annotated[bool, typer.Option(help="Watch it with the detection rules.")] = True,
    check: Annotated[bool, typer.Option(help="Look at the camera before adding it.")] = True,
    json: AsJson = False,
) -> None:
    """Add a camera; a running hub reads it within a second or two."""
    from pydantic import SecretStr

    body = _body(
        name=name,
        address=address,
        source_kind=_kind(address),
        username=username,
        password=SecretStr(ask_password(username, password_stdin)),
        area=area,
        place_kind=place,
        household_id=household,
        place_type=place_type,
        purpose=purpose,
        owner=owner,
        contact=contact,
        retention_hours=retention_hours,
        retention_reason=retention_reason,
        signage=signage,
        residents_may_watch=residents_may_watch,
        analyse=analyse,
        probe=check,
    )

    async def work() -> dict[str, object]:
        async with opened_hub() as hub:
            found = await hub.devices.find(body)
            async with hub.database.transaction() as session:
                await check_known_areas(session, [body.area])
                camera = await hub.devices.add(session, body, found)
                await hub.places.check(session, camera, body)
                await hub.places.note(session, "camera.created", None, camera)
            for warning in (*found.warnings, *hub.places.warnings(camera)):
                err.print(f"! {warning.message}", highlight=False, soft_wrap=True)
            described: dict[str, object] = hub.devices.describe(camera).model_dump(mode="json")
            return described

    added = run(work)
    if json:
        print_json(added)
    else:
        out.print(f"'{name}' is added: {added['id']}", highlight=False, soft_wrap=True)


@app.command("list")
def list_cameras(json: AsJson = False) -> None:
    """List the cameras with the state each was last in."""

    async def work() -> list[dict[str, object]]:
        from access.scope import EVERYTHING
        from camera_hub.devices import repository

        async with reading() as (hub, session):
            rows = await repository.page(session, scope=EVERYTHING, after=None, limit=100_000)
            return [hub.devices.describe(row).model_dump(mode="json") for row in rows]

    found = run(work)
    if json:
        print_json(found)
        return
    rows = []
    for camera in found:
        status = camera["status"]
        assert isinstance(status, dict)
        rows.append(
            (
                camera["name"],
                camera["area"] or "(site)",
                camera["address"],
                status["state"],
                status["reason"],
                camera["id"],
            )
        )
    print_table(
        ("name", "area", "address", "state", "", "id"), rows, "No cameras yet: `cameras add`."
    )


@app.command("remove")
def remove(
    camera_id: Annotated[UUID, typer.Argument(help="Its id.", show_default=False)],
) -> None:
    """Take a camera out of use; its incidents and view records stay."""

    async def work() -> str:
        async with opened_hub() as hub, hub.database.transaction() as session:
            camera = await hub.devices.get(session, camera_id)
            await hub.devices.delete(session, camera)
            await hub.consent.end_of_camera(session, None, camera.id)
            await hub.places.note(session, "camera.deleted", None, camera)
            return str(camera.name)

    out.print(f"'{run(work)}' is removed.", highlight=False)
