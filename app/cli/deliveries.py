"""`camera-hub deliveries | gateways`: who was told, and what tells them."""

import sys
from typing import Annotated, Any, Literal
from uuid import UUID

import typer

from app.cli.context import opened_hub, out, print_json, print_table, reading, run
from core.errors import InvalidInputError, NotFoundError

app = typer.Typer(help="Who was told of what, and with what outcome.", no_args_is_help=True)
gateways = typer.Typer(help="Providers through which people are told.", no_args_is_help=True)

State = Literal[
    "waiting", "sending", "sent", "failed", "unknown", "cancelled", "withheld", "given_up"
]
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
GatewayId = Annotated[UUID, typer.Argument(help="Id of a gateway.", show_default=False)]


@app.command("list")
def list_deliveries(
    incident: Annotated[
        str, typer.Option(help="Number of an incident, such as 2026-000123.", show_default=False)
    ] = "",
    state: Annotated[State | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The newest so many.")] = 50,
    json: AsJson = False,
) -> None:
    """List attempts to tell somebody, the newest last."""

    async def work() -> list[Any]:
        from governance.deliveries import repository
        from governance.deliveries.schemas import DeliveryOut
        from governance.incidents import repository as incident_rows

        async with reading() as (_, session):
            found = None
            if incident:
                found = await incident_rows.by_number(session, incident)
                if found is None:
                    raise NotFoundError(f"There is no incident {incident}.")
            rows = await repository.newest(
                session, incident_id=found.id if found else None, state=state, limit=limit
            )
            return [DeliveryOut.of(row) for row in rows]

    rows = run(work)
    if json:
        print_json([row.model_dump(mode="json") for row in rows])
        return
    print_table(
        ("at", "who", "channel", "why", "try", "state", "detail"),
        (
            (
                (row.finished_at or row.not_before).strftime("%m-%d %H:%M:%S"),
                row.recipient_name,
                row.channel,
                row.purpose,
                row.attempt,
                row.state,
                f"{row.code} {row.detail}".strip(),
            )
            for row in rows
        ),
        "Nobody was told of anything.",
    )


@gateways.command("list")
def list_gateways(json: AsJson = False) -> None:
    """List the gateways, and when each last worked."""

    async def work() -> list[Any]:
        async with reading() as (hub, session):
            rows = await hub.gateways.list(session, [""])
            return [hub.gateways.describe(row) for row in rows]

    rows = run(work)
    if json:
        print_json([row.model_dump(mode="json") for row in rows])
        return
    print_table(
        ("id", "name", "channel", "area", "in use", "last worked", "last error"),
        (
            (
                row.id,
                row.room or row.name,
                row.channel,
                row.area,
                "yes" if row.active else "no",
                row.last_ok_at and row.last_ok_at.strftime("%m-%d %H:%M:%S"),
                row.last_error,
            )
            for row in rows
        ),
        "There are no gateways: nobody outside of the console is told of anything.",
    )


@gateways.command("add")
def add_gateway(
    name: Annotated[str, typer.Argument(help="What it is called.", show_default=False)],
    channel: Annotated[
        Literal["email", "sms", "voice", "wecom", "dingtalk", "feishu"],
        typer.Option(help="What it carries."),
    ],
    kind: Annotated[
        Literal["apprise", "http"], typer.Option(help="Through Apprise, or the generic one.")
    ] = "apprise",
    room: Annotated[str, typer.Option(help="Of a chat robot: its room.")] = "",
    area: Annotated[str, typer.Option(help="Where it is used; empty: everywhere.")] = "",
    locale: Annotated[str, typer.Option(help="Language of a room.")] = "zh-CN",
) -> None:
    """Set up a gateway. Its address is asked for, or read from standard input: it is a secret.

    The second line, of kind http, is the secret that it shares with the hub; made if left out.
    """
    from pydantic import SecretStr, ValidationError

    from governance.deliveries.schemas import GatewayCreate

    url, secret = _ask("Address", kind == "http")
    try:
        wanted = GatewayCreate(
            channel=channel,
            name=name,
            kind=kind,
            url=SecretStr(url),
            secret=SecretStr(secret) if secret else None,
            room=room,
            area=area,
            locale=locale,
        )
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        raise InvalidInputError(f"{fault['loc'][0]}: {fault['msg']}.") from None

    async def work() -> tuple[UUID, str | None]:
        async with opened_hub() as hub, hub.database.transaction() as session:
            row, made = await hub.gateways.create(session, None, wanted)
            return row.id, made

    identity, made = run(work)
    out.print(f"Set up {identity}. Try it: camera-hub gateways test {identity} --to NUMBER")
    if made:
        out.print(f"Its secret, shown only now: {made}")


@gateways.command("test")
def try_gateway(
    gateway: GatewayId,
    to: Annotated[str, typer.Option(help="Your own number or address; none for a room.")] = "",
) -> None:
    """Send a test message now and say how it went."""

    async def work() -> Any:
        async with opened_hub() as hub:
            async with hub.database.read() as session:
                row = await hub.gateways.get(session, gateway)
            if not to and not row.room:
                raise InvalidInputError(
                    "A test message needs somebody to go to.", remedy="Add --to NUMBER."
                )
            outcome = await hub.governance.sender.try_out(row, to)
            async with hub.database.transaction() as session:
                hub.gateways.note_test(await hub.gateways.get(session, gateway), outcome)
            return outcome

    outcome = run(work)
    out.print(f"{outcome.state} {outcome.code} {outcome.detail}".strip())
    if outcome.state != "sent":
        sys.exit(1)


@gateways.command("remove")
def remove_gateway(gateway: GatewayId) -> None:
    """Remove a gateway; its address and secret are forgotten."""

    async def work() -> None:
        async with opened_hub() as hub, hub.database.transaction() as session:
            row = await hub.gateways.get(session, gateway)
            await hub.gateways.remove(session, None, row)

    run(work)
    out.print("Removed.")


def _ask(what: str, with_secret: bool) -> tuple[str, str]:
    """Return what a person types unseen, or the lines of standard input."""
    if sys.stdin.isatty():
        url = typer.prompt(what, hide_input=True)
        secret = ""
        if with_secret:
            secret = typer.prompt("Secret (empty: made)", hide_input=True, default="")
        return str(url), str(secret)
    lines = [*sys.stdin.read().splitlines(), "", ""]
    return lines[0].strip(), lines[1].strip() if with_secret else ""
