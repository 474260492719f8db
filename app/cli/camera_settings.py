"""`camera-hub cameras set | device | encoder | reboot | ptz | health`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.cameras import AsJson, PasswordFromStdin, ask_password
from app.cli.context import err, opened_hub, out, print_json, print_table, run
from app.cli.plans import plan_named
from core.errors import ForbiddenError, InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from api.camera_health import CameraHealthOut
    from camera_hub.devices.address import CameraAddress
    from camera_hub.devices.device_schemas import (
        DeviceDetailsOut,
        EncoderSetOut,
        PtzOut,
    )
    from camera_hub.devices.models import Camera

_WHO = "command line"
CameraArgument = Annotated[str, typer.Argument(help="Its id or name.", show_default=False)]


async def camera_named(hub: Any, name: str) -> "Camera":
    """Return the camera with this id or name.

    Raises:
        NotFoundError: there is none, or several have the name.
    """
    from access.scope import EVERYTHING
    from camera_hub.devices import repository

    async with hub.database.read() as session:
        found = await repository.named(session, name, EVERYTHING)
    if not found:
        raise NotFoundError(f"There is no camera '{name}'.", remedy="`cameras list` names them.")
    if len(found) > 1:
        raise NotFoundError(
            f"{len(found)} cameras are called '{name}'.",
            remedy="Give one's id: " + ", ".join(str(camera.id) for camera in found),
        )
    return found[0]


async def _device(hub: Any, name: str) -> tuple["Camera", "CameraAddress"]:
    camera = await camera_named(hub, name)
    return camera, hub.remote.address_of(camera, hub.devices.password_of(camera))


def _roles(camera: "Camera") -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for stream in camera.streams:
        found.setdefault(stream.profile_token, []).append(stream.role)
    return found


def set_cameras(
    cameras: Annotated[list[str], typer.Argument(help="Ids or names.", show_default=False)],
    name: Annotated[str | None, typer.Option(help="Of one camera.")] = None,
    address: Annotated[str | None, typer.Option(help="Of one camera that has moved.")] = None,
    username: Annotated[str | None, typer.Option(help='Its account; "": none.')] = None,
    password_stdin: PasswordFromStdin = False,
    check: Annotated[
        bool, typer.Option(help="Try a new address or account before it is kept.")
    ] = True,
    area: Annotated[str | None, typer.Option()] = None,
    place_type: Annotated[str | None, typer.Option()] = None,
    purpose: Annotated[str | None, typer.Option()] = None,
    owner: Annotated[str | None, typer.Option()] = None,
    contact: Annotated[str | None, typer.Option()] = None,
    retention_hours: Annotated[int | None, typer.Option()] = None,
    retention_reason: Annotated[str | None, typer.Option()] = None,
    signage: Annotated[bool | None, typer.Option()] = None,
    sound: Annotated[
        bool | None, typer.Option(help="It hears too; of a home only its household says so.")
    ] = None,
    sound_reason: Annotated[str | None, typer.Option(help="Why it has to hear.")] = None,
    analyse: Annotated[bool | None, typer.Option()] = None,
    enabled: Annotated[bool | None, typer.Option()] = None,
    recording: Annotated[
        str | None,
        typer.Option(
            help="off, always, event or hours ('mon-fri 08:00-18:00'); main or sub after."
        ),
    ] = None,
    transport: Annotated[str | None, typer.Option(help="tcp, udp or multicast.")] = None,
    analysed_by: Annotated[
        str | None, typer.Option(help="hub looks at its pictures, or the camera says what it sees.")
    ] = None,
    latitude: Annotated[float | None, typer.Option()] = None,
    longitude: Annotated[float | None, typer.Option()] = None,
    heading: Annotated[float | None, typer.Option(help="Degrees clockwise from north.")] = None,
    plan: Annotated[
        str | None, typer.Option(help='Id or name of the plan it stands on, with --at; "": none.')
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="Where on it: 0.42,0.61 of its width and height.")
    ] = None,
) -> None:
    """Change cameras alike; what is not named stays."""
    spot = _spot(plan, at)
    named: dict[str, Any] = {
        key: value
        for key, value in {
            "name": name, "address": address, "username": username, "area": area,
            "place_type": place_type, "purpose": purpose, "owner": owner, "contact": contact,
            "retention_hours": retention_hours, "retention_reason": retention_reason,
            "signage": signage, "sound": sound, "sound_reason": sound_reason,
            "analyse": analyse, "enabled": enabled, "transport": transport,
            "analysed_by": analysed_by, "latitude": latitude, "longitude": longitude,
            "heading": heading,
        }.items()
        if value is not None
    }  # fmt: skip
    if recording is not None:
        named["recording"] = _plan(recording)
    password = ask_password(username or "", password_stdin)
    if password or password_stdin:
        named["password"] = password
    if address is not None and len(cameras) > 1:
        raise InvalidInputError("One address is of one camera.", remedy="Name one camera.")
    if not named and plan is None:
        raise InvalidInputError("Nothing is named that should change.", remedy="See --help.")

    async def work() -> None:
        from pydantic import ValidationError

        from api.cameras import change
        from camera_hub.devices.schemas import CameraUpdate

        async with opened_hub() as hub:
            for one in cameras:
                camera = await camera_named(hub, one)
                if plan:
                    spot["plan_id"] = (await plan_named(hub, plan, camera.area)).id
                try:
                    body = CameraUpdate.model_validate(
                        {"version": camera.version, "probe": check, **named, **spot}
                    )
                except ValidationError as error:
                    first = error.errors(include_input=False)[0]
                    where = first["loc"][0] if first["loc"] else "at"
                    raise InvalidInputError(f"--{where}: {first['msg']}.") from None
                changed = await change(hub, None, camera.id, body)
                out.print(f"'{changed.name}' is changed.", highlight=False)

    run(work)


def _spot(plan: str | None, at: str | None) -> dict[str, Any]:
    """Return where on a plan a camera is to stand, but for the plan's id.

    Raises:
        InvalidInputError: one of the two is missing, or `at` is no pair of numbers.
    """
    if not plan and at is None:
        return {} if plan is None else {"plan_id": None}
    x, comma, y = (at or "").partition(",")
    try:
        if plan and comma:
            return {"plan_x": float(x), "plan_y": float(y)}
    except ValueError:
        pass
    raise InvalidInputError(
        "A plan and the place on it go together.",
        remedy="Write them as --plan 'Ground floor' --at 0.42,0.61.",
    )


def _plan(said: str) -> Any:
    from camera_hub.devices.recording_text import plan_named

    try:
        return plan_named(said)
    except ValueError as error:
        raise InvalidInputError(str(error)) from None


def device(camera: CameraArgument, json: AsJson = False) -> None:
    """Ask a camera what it is, how its clock runs, and how its encoders are set."""
    from camera_hub.devices.onvif import off_by

    async def work() -> "DeviceDetailsOut":
        async with opened_hub() as hub:
            found, address = await _device(hub, camera)
            details: DeviceDetailsOut = await hub.remote.details(found.id, address, _roles(found))
            return details

    found = run(work)
    if json:
        print_json(found.model_dump(mode="json"))
        return
    d = found.device
    out.print(f"{d.manufacturer} {d.model}, firmware {d.firmware}, serial {d.serial}")
    if found.clock.offset_s is not None:
        how = off_by(found.clock.offset_s)
        out.print(f"its clock is {how} ({found.clock.mode or '?'})", highlight=False)
    rows = [
        (
            one.token,
            "+".join(one.roles),
            one.codec,
            f"{one.width}x{one.height}",
            f"{one.fps:g} fps",
            f"GOP {one.gop or '?'}",
            f"{one.bitrate_kbps or '?'} kbit/s",
        )
        for one in found.encoders
    ]
    print_table(("encoder", "", "codec", "size", "rate", "", ""), rows, "No encoder settings.")
    for warning in found.warnings:
        err.print(f"! {warning.message}", highlight=False, soft_wrap=True)


def encoder(
    camera: CameraArgument,
    token: Annotated[str, typer.Argument(help="As `cameras device` names it.")],
    fit_sub: Annotated[bool, typer.Option("--fit-sub", help="Make it a good sub-stream.")] = False,
    codec: Annotated[str | None, typer.Option(help="h264 or hevc.")] = None,
    size: Annotated[str | None, typer.Option(help="e.g. 640x360")] = None,
    fps: Annotated[float | None, typer.Option()] = None,
    gop: Annotated[int | None, typer.Option(help="Pictures from keyframe to keyframe.")] = None,
    bitrate_kbps: Annotated[int | None, typer.Option()] = None,
) -> None:
    """Set an encoder, and say what the camera accepted."""
    given: dict[str, Any] = {"fit": "sub"} if fit_sub else {}
    for key, value in (
        ("codec", codec),
        ("fps", fps),
        ("gop", gop),
        ("bitrate_kbps", bitrate_kbps),
    ):
        if value is not None:
            given[key] = value
    if size is not None:
        width, _, height = size.partition("x")
        given |= {"width": width, "height": height}

    async def work() -> "EncoderSetOut":
        from pydantic import ValidationError

        from api.camera_devices import set_encoder
        from camera_hub.devices.device_schemas import EncoderUpdate

        try:
            body = EncoderUpdate.model_validate(given)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            raise InvalidInputError(f"{first['loc'][0]}: {first['msg']}.") from None
        async with opened_hub() as hub:
            found = await camera_named(hub, camera)
            done: EncoderSetOut = await set_encoder(hub, None, found, token, body)
            return done

    done = run(work)
    now = done.encoder
    out.print(
        f"{now.token}: {now.codec} {now.width}x{now.height}, {now.fps:g} fps, "
        f"GOP {now.gop or '?'}, {now.bitrate_kbps or '?'} kbit/s",
        highlight=False,
    )
    for one in done.not_taken:
        err.print(
            f"! {one.setting}: {one.asked} was asked for, {one.accepted or 'nothing'} accepted",
            highlight=False,
        )


def reboot(camera: CameraArgument) -> None:
    """Let a camera restart; it is away for a minute or so."""

    async def work() -> str:
        from api.camera_devices import restart

        async with opened_hub() as hub:
            found = await camera_named(hub, camera)
            await restart(hub, None, found)
            return found.name

    out.print(f"'{run(work)}' restarts.", highlight=False)


def ptz(
    camera: CameraArgument,
    pan: Annotated[float | None, typer.Option(help="Speed from -1 to 1.")] = None,
    tilt: Annotated[float | None, typer.Option(help="Speed from -1 to 1.")] = None,
    zoom: Annotated[float | None, typer.Option(help="Speed from -1 to 1.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, max=30, help="So long; then it stops.")] = 1.0,
    preset: Annotated[str, typer.Option(help="Turn to this preset.")] = "",
    home: Annotated[bool, typer.Option("--home", help="Turn to the home position.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop it.")] = False,
    save: Annotated[str, typer.Option(help="Remember where it looks under this name.")] = "",
    rename: Annotated[
        str, typer.Option(help="With --preset: turn there, and call it this from now on.")
    ] = "",
    remove: Annotated[str, typer.Option(help="Forget this preset.")] = "",
    json: AsJson = False,
) -> None:
    """Turn a camera, or say where it looks. A home's is turned by its household only."""
    speeds = {"pan": pan, "tilt": tilt, "zoom": zoom}
    op = "stop" if stop else "home" if home else "preset" if preset else ""
    if preset and rename:
        op = "rename_preset"
    elif remove or save:
        op, preset = ("remove_preset", remove) if remove else ("save_preset", preset)
    elif not op and any(speed is not None for speed in speeds.values()):
        op = "move"

    async def work() -> "PtzOut":
        from camera_hub.devices.device_schemas import PtzCommand

        async with opened_hub() as hub:
            found, address = await _device(hub, camera)
            if found.place_kind == "home":
                raise ForbiddenError(
                    "This is a home. It is turned by its household only.", code="no-consent"
                )
            if op:
                given: dict[str, Any] = {k: v for k, v in speeds.items() if v is not None}
                given |= {"op": op, "preset": preset, "name": rename or save}
                body = PtzCommand.model_validate(given)
                await hub.remote.turn(found.id, address, body, _WHO)
            if op == "move":
                left = seconds
                while left > 0:
                    await hub.clock.sleep(min(left, 1.0))
                    left -= 1.0
                    if left > 0:
                        await hub.remote.turn(found.id, address, body, _WHO)
                await hub.remote.turn(found.id, address, PtzCommand(op="stop"))
            head: PtzOut = await hub.remote.head(found.id, address)
            return head

    head = run(work)
    if json:
        print_json(head.model_dump(mode="json"))
        return
    at = head.position
    where = "unknown" if at is None else f"pan {at.pan}, tilt {at.tilt}, zoom {at.zoom}"
    out.print(f"position: {where}", highlight=False)
    rows = [(one.token, one.name) for one in head.presets]
    print_table(("preset", "name"), rows, "No presets.")


def health(
    camera: CameraArgument,
    month: Annotated[str, typer.Option(help="YYYY-MM; this one if left out.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show how a camera was doing in a month: availability, outages, what is not recorded."""
    print_health(run(lambda: _health(camera, month)), as_json)


async def _health(name: str, month: str) -> "CameraHealthOut":
    from api.camera_health import health_of

    async with opened_hub() as hub:
        camera = await camera_named(hub, name)
        async with hub.database.read() as session:
            listed = camera.place_kind != "home"
            return await health_of(hub, session, camera, month, listed=listed)


def print_health(found: "CameraHealthOut", as_json: bool) -> None:
    """Print a camera's month."""
    if as_json:
        print_json(found.model_dump(mode="json", by_alias=True))
        return
    shares = (found.availability, found.usable, found.recorded)
    words = ("not yet" if share is None else f"{share:.2%}" for share in shares)
    out.print("{}: available {}, usable {}, recorded {}".format(found.month, *words))
    rows = [
        (
            one.kind,
            f"{one.start:%Y-%m-%d %H:%M:%S}",
            f"{one.end:%Y-%m-%d %H:%M:%S}" if one.end else "",
        )
        for one in found.outages
    ]
    print_table(("outage", "from (UTC)", "to (UTC)"), rows, "No outages.")
    gaps = [
        (f"{gap.start:%Y-%m-%d %H:%M:%S}", f"{gap.end:%Y-%m-%d %H:%M:%S}", gap.reason)
        for gap in found.gaps
    ]
    print_table(("not recorded from", "to", "why"), gaps, "Everything is recorded.")


def register(app: typer.Typer) -> None:
    """Add these commands to `camera-hub cameras`."""
    app.command("set")(set_cameras)
    app.command("device")(device)
    app.command("encoder")(encoder)
    app.command("reboot")(reboot)
    app.command("ptz")(ptz)
    app.command("health")(health)
