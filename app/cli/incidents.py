"""`camera-hub incidents list | show | watch`."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from app.cli.context import opened_hub, out, print_json, print_table, reading, run
from core.errors import NotFoundError

if TYPE_CHECKING:
    from governance.incidents.schemas import IncidentDetailOut, IncidentOut

app = typer.Typer(help="Incidents.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_LOOK_EVERY_S = 0.5
_BATCH = 500
_NOTHING = "Nothing is there."


@app.command("list")
def list_incidents(
    state: Annotated[str, typer.Option(help="open, closed or all")] = "open",
    area: Annotated[str, typer.Option(help="Only below this area.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    json: AsJson = False,
) -> None:
    """List incidents: open ones most severe first, others newest first."""
    if state not in {"open", "closed", "all"}:
        raise typer.BadParameter("choose open, closed or all", param_hint="--state")

    async def work() -> "Sequence[IncidentOut]":
        from governance.incidents import repository, views

        wanted = repository.Filter(areas=[area], state=state)
        async with reading() as (_, session):
            rows = await repository.page(session, wanted, after=None, limit=limit)
            return await views.describe(session, rows)

    found = run(work)
    if json:
        print_json([incident.model_dump(mode="json") for incident in found])
        return
    columns = ("number", "severity", "state", "headline", "area", "opened", "seen by")
    print_table(
        columns,
        [
            (i.number, i.severity, i.state, i.headline, i.area, _when(i.opened_at),
             "" if i.acknowledged_by is None else i.acknowledged_by.display_name)
            for i in found
        ],
        _NOTHING,
    )  # fmt: skip


@app.command("show")
def show(
    number: Annotated[str, typer.Argument(help="Such as 2026-000123, or the id.")],
    json: AsJson = False,
) -> None:
    """Show one incident with its history."""

    async def work() -> "IncidentDetailOut":
        from governance.incidents import repository, views

        async with reading() as (_, session):
            row = await repository.by_number(session, number)
            if row is None:
                with suppress(ValueError):
                    row = await repository.by_id(session, UUID(number))
            if row is None:
                raise NotFoundError(
                    f"There is no incident '{number[:40]}'.",
                    remedy="`camera-hub incidents list --state all` has their numbers.",
                )
            return await views.describe_fully(session, row)

    found = run(work)
    if json:
        print_json(found.model_dump(mode="json"))
        return
    facts = ("number", "headline", "kind", "severity", "status", "state", "area",
             "household_name", "camera_name")  # fmt: skip
    for name in facts:
        if value := getattr(found, name):
            out.print(f"{name.replace('_', ' '):<16}{value}", highlight=False, markup=False)
    print_table(
        ("at", "who", "what", "from", "to", "note"),
        [
            (_when(entry.at), getattr(entry.actor, "display_name", "the hub"), entry.action,
             entry.from_state, entry.to_state, entry.note)
            for entry in found.log
        ],
        "Its history is empty.",
    )  # fmt: skip


@app.command("watch")
def watch(
    area: Annotated[str, typer.Option(help="Only below this area.")] = "",
    json: AsJson = False,
) -> None:
    """Print what happens to incidents from now on, until Ctrl-C."""

    async def work() -> None:
        from access.policy.areas import covers
        from governance.outbox import repository

        async with opened_hub() as hub:
            async with hub.database.read() as session:
                _, cursor = await repository.bounds(session)
            while True:
                async with hub.database.read() as session:
                    rows = await repository.read_after(session, cursor, _BATCH)
                for row in rows:
                    cursor = row.seq
                    if row.type.startswith("incident.") and covers(area, row.area):
                        _tell(row.type, row.payload, row.created_at, json)
                if len(rows) < _BATCH:
                    await asyncio.sleep(_LOOK_EVERY_S)

    with suppress(KeyboardInterrupt):
        run(work)


def _tell(kind: str, payload: dict[str, Any], at: datetime, json: bool) -> None:
    if json:
        print_json({"type": kind, "at": at, **payload})
        return
    line = (f"{_when(at)}  {payload['number']}  {payload['severity']:<8}  {payload['state']:<10}  "
            f"{payload['change']:<14}  {payload['headline']}")  # fmt: skip
    out.print(line, highlight=False, markup=False, soft_wrap=True)


def _when(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
