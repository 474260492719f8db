"""`camera-hub alarms …`: test presses, the alarms of late, devices and pairing codes."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import typer

from app.cli.context import err, opened_hub, out, print_json, print_table, reading, run

app = typer.Typer(help="The one-key alarm: its devices, and tests of it.", no_args_is_help=True)

HouseholdArgument = Annotated[
    str, typer.Argument(help="Its name or id: `households list`.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_LOOK_EVERY_S = 0.5


@app.command("list")
def list_alarms(json: Json = False) -> None:
    """List the alarms of the last 30 days, newest first, each with how far it has come."""

    async def work() -> list[Any]:
        from governance.alarms import following

        async with reading() as (hub, session):
            rows = await hub.households.page(session, areas=[""], own=[], after=None, limit=10_000)
            homes = [row.id for row in rows]
            return await following.recent(session, hub.governance, homes, "en") if homes else []

    found = run(work)
    if json:
        print_json([alarm.model_dump(mode="json") for alarm in found])
        return
    columns = ("received", "incident", "kind", "status", "as far as", "by")
    print_table(
        columns,
        [
            (
                alarm.received_at.astimezone().isoformat(sep=" ", timespec="seconds"),
                alarm.number,
                alarm.kind,
                alarm.status,
                alarm.steps[-1].step,
                alarm.steps[-1].by,
            )
            for alarm in found
        ],
        "No alarms within the last 30 days.",
    )


@app.command("devices")
def list_devices(json: Json = False) -> None:
    """List what presses alarms: where it is, when it was heard and tested last."""

    async def work() -> list[Any]:
        from governance.alarms import repository

        async with reading() as (hub, session):
            rows = await repository.page(session, areas=[""], after=None, limit=10_000)
            found: list[Any] = await hub.alarm_devices.describe(session, rows)
            return found

    found = run(work)
    if json:
        print_json([device.model_dump(mode="json") for device in found])
        return
    columns = ("household", "device", "kind", "heard", "battery", "tested", "")
    print_table(
        columns,
        [
            (
                device.household,
                device.name,
                device.kind,
                _when(device.last_seen_at),
                "" if device.battery_pct is None else f"{device.battery_pct} %",
                _when(device.tested_at),
                "silent" if device.silent else ("test due" if device.test_due else ""),
            )
            for device in found
        ],
        "No alarm devices yet: a household makes them on the page of its home.",
    )


@app.command("pair")
def pair(
    household: HouseholdArgument,
    kind: Annotated[str, typer.Option(help="phone, tv, button or app.")] = "phone",
) -> None:
    """Print a code for a device of a household; it lets in one device within ten minutes."""
    if kind not in {"phone", "tv", "button", "app"}:
        raise typer.BadParameter("choose phone, tv, button or app", param_hint="--kind")

    async def work() -> Any:
        async with opened_hub() as hub, hub.database.transaction() as session:
            row = await hub.households.locked(session, await _find(session, household))
            return await hub.alarm_devices.make_code(session, None, row, kind)

    made = run(work)
    out.print(made.code, highlight=False)
    page = "/tv" if kind == "tv" else "/alarm"
    err.print(f"Open {page} of the hub on the {kind} within ten minutes and type it in.")


@app.command("test")
def press_a_test(
    household: Annotated[str, typer.Option(help="Its name or id.", show_default=False)],
    kind: Annotated[str, typer.Option(help="fire, security or medical.")] = "medical",
    wait: Annotated[
        float, typer.Option(help="Seconds to follow it, until somebody has seen it.", min=0)
    ] = 60.0,
) -> None:
    """Press a test alarm: the duty desk's consoles hear it, nobody outside, and it ends itself."""
    if kind not in {"fire", "security", "medical"}:
        raise typer.BadParameter("choose fire, security or medical", param_hint="--kind")

    async def work() -> _Outcome:
        async with opened_hub() as hub:
            return await _press(hub, household, kind, wait)

    outcome = run(work)
    if not outcome.seen:
        err.print(
            f"Received as {outcome.number}; nobody has seen it within {wait:g} s.",
            highlight=False,
        )
        raise typer.Exit(2)


@dataclass(frozen=True)
class _Outcome:
    number: str
    seen: bool


async def _press(hub: Any, household: str, kind: str, wait: float) -> _Outcome:
    from access.households import repository as household_rows
    from access.policy.types import Actor, Role, RoleBinding
    from api.alarm_intake import Presser, take_press
    from core.ids import new_id
    from governance.alarms import following
    from governance.alarms.presses import Press

    async with hub.database.read() as session:
        home_id = await _find(session, household)
        home = await household_rows.by_id(session, home_id)
    assert home is not None
    actor = Actor(
        kind="service",
        id=home_id,
        name="command line",
        display_name="command line",
        bindings=(RoleBinding(Role.SERVICE, home.area),),
        scopes=frozenset({"alarm.press"}),
        households=frozenset({home_id}),
    )
    press = Press(id=str(new_id()), kind=kind, status="Test", via="command line")  # type: ignore[arg-type]
    await take_press(hub, Presser(actor, home_id, "command line", home), press)
    shown = 0
    until = hub.clock.monotonic() + wait
    while True:
        async with hub.database.read() as session:
            alarm = await following.alarm(session, [home_id], press.id, "en")
        for step in alarm.steps[shown:]:
            at = step.at.astimezone().strftime("%H:%M:%S")
            out.print(f"{at}  {step.step:<9} {step.by}", highlight=False, markup=False)
        shown = len(alarm.steps)
        seen = any(step.step == "seen" for step in alarm.steps)
        if seen or not alarm.open or hub.clock.monotonic() >= until:
            return _Outcome(alarm.number, seen)
        await asyncio.sleep(_LOOK_EVERY_S)


async def _find(session: Any, text: str) -> UUID:
    """Return the household with that id or name that lives there.

    Raises:
        NotFoundError: there is none, or there are several of the name.
    """
    from core.errors import NotFoundError
    from governance.alarms import repository

    found = await repository.called(session, text)
    if len(found) == 1:
        return found[0]
    raise NotFoundError(
        f"There {'are several households' if found else 'is no household'} '{text[:80]}'.",
        remedy="Look it up with `camera-hub households list` and give its id.",
    )


def _when(moment: Any) -> str:
    return "never" if moment is None else moment.astimezone().isoformat(" ", timespec="minutes")
