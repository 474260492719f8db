"""`camera-hub households …` and `camera-hub grants …`."""

from typing import Annotated
from uuid import UUID

import typer

from app.cli.context import check_known_areas, err, opened_hub, out, print_table, reading, run

app = typer.Typer(
    help="Households, whose home cameras open by their consent.", no_args_is_help=True
)
grants = typer.Typer(help="Consent that households have given.", no_args_is_help=True)

Household = Annotated[UUID, typer.Argument(help="Its id: `households list`.", show_default=False)]


@app.command("list")
def list_households() -> None:
    """List the households with their members and cameras."""

    async def work() -> list[tuple[object, ...]]:
        from camera_hub.devices import homes

        async with reading() as (hub, session):
            rows = await hub.households.page(session, limit=10_000)
            counts = await homes.count_by_household(session, [row.id for row in rows])
            found = await hub.households.describe(session, rows, counts)
            return [
                (
                    household.id,
                    household.name,
                    household.area or "(site)",
                    ", ".join(member.account.username for member in household.members),
                    household.cameras,
                    "moved out" if household.closed_at else "",
                )
                for household in found
            ]

    columns = ("id", "name", "area", "members", "cameras", "state")
    print_table(columns, run(work), "No households yet: `households create`.")


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Such as 'Building 3, Flat 1204'.")],
    area: Annotated[str, typer.Option(help="Where it is; empty: the whole site.")] = "",
) -> None:
    """Make a household without members."""

    async def work() -> UUID:
        from access.households.schemas import HouseholdCreate
        from core.errors import InvalidInputError

        try:
            body = HouseholdCreate(name=name, area=area)
        except ValueError as error:
            raise InvalidInputError(
                "The name cannot be used.", remedy="Use 1 to 120 printable characters."
            ) from error
        async with opened_hub() as hub, hub.database.transaction() as session:
            await check_known_areas(session, [body.area])
            row = await hub.households.create(session, None, name=body.name, area=body.area)
            identity: UUID = row.id
            return identity

    out.print(f"Household made: {run(work)}", highlight=False)


@app.command("add-member")
def add_member(household: Household, username: str) -> None:
    """Let the first member in. Who lives there lets in everybody after that, in the console."""

    async def work() -> None:
        from camera_hub.devices import homes

        async with opened_hub() as hub, hub.database.transaction() as session:
            row = await hub.households.locked(session, household)
            counts = await homes.count_by_household(session, [household])
            await hub.households.add_member(
                session, None, row, username=username, cameras=counts.get(household, 0)
            )

    run(work)
    out.print(f"'{username}' lives there now.", highlight=False, markup=False)


@app.command("close")
def close(
    household: Household,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Say that they have moved out: cameras off, their passwords forgotten, all consent ended."""
    if not yes:
        typer.confirm("Its cameras are switched off and all its consent ends. Go on?", abort=True)

    async def work() -> None:
        from api.households import move_out
        from governance.outbox import service as outbox

        async with opened_hub() as hub, hub.database.transaction() as session:
            await outbox.serialise(session)
            row = await hub.households.locked(session, household)
            await move_out(hub, session, None, row)

    run(work)
    err.print("Closed. What was being watched ends within two seconds.")


@grants.command("list")
def list_grants() -> None:
    """List the consents that are live: whose camera, to whom, until when."""

    async def work() -> list[tuple[object, ...]]:
        from camera_hub.devices import homes

        async with reading() as (hub, session):
            rows = await hub.consent.all_live(session)
            names = await homes.names(session, {row.camera_id for row in rows})
            return [
                (
                    grant.id,
                    grant.camera_name,
                    grant.kind,
                    grant.grantee.username if grant.grantee else "who answers an alarm",
                    grant.ends_at.isoformat(timespec="minutes") if grant.ends_at else "withdrawn",
                    "open now" if grant.open_now else "",
                )
                for grant in await hub.consent.describe(session, rows, names)
            ]

    columns = ("id", "camera", "kind", "to", "until", "now")
    print_table(columns, run(work), "No household has given any consent.")


@grants.command("withdraw")
def withdraw(
    grant: Annotated[UUID, typer.Argument(help="Its id: `grants list`.", show_default=False)],
) -> None:
    """Withdraw a consent, for a household that cannot do it itself. Only it can give one."""

    async def work() -> None:
        async with opened_hub() as hub, hub.database.transaction() as session:
            await hub.consent.withdraw(session, None, grant)

    run(work)
    err.print("Withdrawn. What was being watched under it ends within two seconds.")
