"""`camera-hub recordings export`: asks for recordings as an account does, and fetches them.

It goes through the same door as the console: the account's own rights, a purpose, a second person.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.status import Status

from app.cli.cameras import ask_password
from app.cli.context import err, out, print_json, run, settings
from app.cli.exports import verified
from app.cli.times import moment
from core.errors import InvalidInputError


def export_recordings(
    cameras: Annotated[
        list[str], typer.Argument(help="Names or ids, four at most.", show_default=False)
    ],
    username: Annotated[str, typer.Option("--as", help="The account that asks.")],
    start: Annotated[str, typer.Option("--from", help="When, in ISO 8601.")],
    end: Annotated[str, typer.Option("--to", help="Until when.")],
    reason: Annotated[str, typer.Option(help="Why it is handed out, and to whom.")],
    purpose: Annotated[
        str, typer.Option(help="incident, case, maintenance, subject_access or exercise.")
    ] = "",
    reference: Annotated[str, typer.Option(help="What the purpose refers to.")] = "",
    audience: Annotated[
        str, typer.Option(help="For whom: authority, subject or publication.")
    ] = "authority",
    blurred: Annotated[
        bool | None,
        typer.Option(
            "--blurred/--raw",
            help="With everybody blurred, or as recorded; default: raw for an authority only.",
            show_default=False,
        ),
    ] = None,
    sound: Annotated[
        bool, typer.Option("--sound", help="With the sound that was recorded.")
    ] = False,
    days: Annotated[int, typer.Option(help="How long it can be fetched.", min=1, max=30)] = 7,
    out_dir: Annotated[Path, typer.Option("--out", help="Where the zip goes.")] = Path(),
    url: Annotated[str, typer.Option(help="Where the server is; default: as the settings.")] = "",
    wait: Annotated[
        bool, typer.Option(help="Wait for the second person, fetch the zip, and check it.")
    ] = True,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Ask for recordings as evidence; once a second person approves, fetch and check them."""
    since, until = moment(start), moment(end)
    if since is None or until is None or not since < until:
        raise InvalidInputError("The span is empty.", remedy="Name --from before --to.")
    server = settings().server
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(server.host, server.host)  # noqa: S104
    where = url.rstrip("/") or f"http://{host}:{server.port}"
    password = ask_password(username, password_stdin)

    async def work() -> tuple[dict[str, object], Path | None]:
        from app.handing_out import Wish, fetched, signed_in, wish_for

        wish = Wish(
            list(cameras),
            since,
            until,
            purpose,
            reference,
            reason,
            days,
            audience=audience,
            blurred=blurred,
            sound=sound,
        )
        async with signed_in(where, username, password, _ask_code) as client:
            export = await wish_for(client, wish)
            if not wait:
                return export, None
            waiting = f"{export['number']} waits for a second person …"
            with Status(waiting, console=err) as status:

                def tell(state: str, percent: int) -> None:
                    if state != "requested":
                        status.update(f"{export['number']} is {state} ({percent} %) …")

                return export, await fetched(client, export, out_dir, tell)

    export, path = run(work)
    if path is not None:
        verified(path, None)
    if json:
        print_json({**export, "file": None if path is None else str(path)})
    elif path is None:
        out.print(f"{export['number']} waits for a second person; fetch it in the console.")
    else:
        out.print(f"{path}: fetched, and as it was signed.", soft_wrap=True)


def _ask_code() -> str:
    code: str = typer.prompt("Code of the authenticator app")
    return code
