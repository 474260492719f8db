"""`camera-hub cameras clock`."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.camera_settings import camera_named
from app.cli.context import err, opened_hub, out, run
from core.errors import HubError, InvalidInputError

if TYPE_CHECKING:
    from camera_hub.devices.device_schemas import ClockOut
    from camera_hub.devices.models import Camera

_CLOCKS_AT_ONCE = 8


def clock(
    cameras: Annotated[
        list[str] | None, typer.Argument(help="Ids or names.", show_default=False)
    ] = None,
    ntp: Annotated[
        str | None, typer.Option(help='Follow this time server; "" for those that DHCP names.')
    ] = None,
    everyone: Annotated[
        bool, typer.Option("--all", help="All cameras that have a clock, but for those of homes.")
    ] = False,
) -> None:
    """Set the clocks of cameras to this node's, or let them follow a time server."""
    if bool(cameras) is everyone:
        raise InvalidInputError("Name the cameras, or say --all.", remedy="See --help.")
    if not run(lambda: _set_clocks(cameras or [], ntp)):
        sys.exit(1)


async def _set_clocks(names: list[str], ntp: str | None) -> bool:
    """Set clocks, of all cameras where none is named; say whether every one is right now."""
    from access.scope import EVERYTHING
    from api.camera_devices import set_clock
    from camera_hub.devices import repository
    from camera_hub.devices.device_schemas import ClockUpdate
    from camera_hub.devices.onvif import off_by, skew_warning

    body = ClockUpdate(mode="manual") if ntp is None else ClockUpdate(mode="ntp", server=ntp)
    good = True
    async with opened_hub() as hub:
        found = [await camera_named(hub, name) for name in names]
        if not names:
            async with hub.database.read() as session:
                rows = await repository.page(session, scope=EVERYTHING, after=None, limit=100_000)
            found = [
                one
                for one in rows
                if one.source_kind == "onvif" and one.place_kind != "home" and one.enabled
            ]

        async def one_by_one(camera: "Camera") -> None:
            nonlocal good
            try:
                now: ClockOut = await set_clock(hub, None, camera, body)
            except HubError as error:
                good = False
                err.print(f"! '{camera.name}': {error}", highlight=False, soft_wrap=True)
                return
            offset = now.offset_s
            good = good and (offset is None or skew_warning(offset) is None)
            how = (
                "it does not tell its time" if offset is None else f"its clock is {off_by(offset)}"
            )
            out.print(f"'{camera.name}': {how}", highlight=False)

        # Each waits for its camera: together they take as long as the slowest few.
        for start in range(0, len(found), _CLOCKS_AT_ONCE):
            group = found[start : start + _CLOCKS_AT_ONCE]
            await asyncio.gather(*(one_by_one(camera) for camera in group))
    return good


def register(app: typer.Typer) -> None:
    """Add this command to `camera-hub cameras`."""
    app.command("clock")(clock)
