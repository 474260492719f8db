"""`camera-hub duty …`: who is on duty where."""

from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.context import out, print_json, print_table, reading, run, site_settings

if TYPE_CHECKING:
    from governance.duty.schemas import DutyNow, DutyOut

app = typer.Typer(help="Who is on duty.", no_args_is_help=True)


def moment(text: str, zone: tzinfo) -> datetime:
    """Return an ISO time from the command line; without an offset it is on the site's clock.

    Raises:
        typer.BadParameter: it is no time.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            "write a time such as 2026-11-22T03:00", param_hint="--at"
        ) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=zone)


@app.command("show")
def show(
    area: Annotated[str, typer.Option(help="Where; default: the whole site.")] = "",
    at: Annotated[
        str, typer.Option(help="When, e.g. 2026-11-22T03:00 on the site's clock; default: now.")
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print who is on duty in an area, by post, until when, and the gaps of the next week."""
    zone = site_settings().site.zone
    when = moment(at, zone) if at else None

    async def work() -> "DutyNow":
        from access.policy.areas import normalise_area
        from governance.areas import service as areas
        from governance.duty.views import describe_duty

        path = normalise_area(area)
        async with reading() as (hub, session):
            await areas.check(session, path)
            return await describe_duty(session, path, when or hub.clock.now(), zone)

    found = run(work)
    if json:
        print_json(found.model_dump(mode="json"))
        return
    print_table(
        ("post", "on duty", "because", "until"),
        [
            (
                item.post,
                ", ".join(person.display_name for person in item.accounts) or "nobody",
                _because(item),
                _local(item.until_at, zone),
            )
            for item in found.items
        ],
        "Nobody.",
    )
    for item in found.items:
        for gap in item.gaps:
            out.print(
                f"gap: {item.post}, {item.rota_name}: {_local(gap.from_at, zone)} to "
                f"{_local(gap.until_at, zone)}",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )


def _because(item: "DutyOut") -> str:
    where = item.found_in or "the whole site"
    return {
        "rota": f"rota '{item.rota_name}' of {where}",
        "role": f"holds the role in {where} (no rota)",
        "gap": f"rota '{item.rota_name}' names nobody; holds the role in {where}",
        "nobody": "nobody holds the role here or above",
    }[item.by]


def _local(at: datetime | None, zone: tzinfo) -> str:
    return "" if at is None else at.astimezone(zone).strftime("%a %Y-%m-%d %H:%M")
