"""`camera-hub plans list | add | set | remove`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.cameras import AsJson
from app.cli.context import opened_hub, out, print_json, print_table, reading, run
from core.errors import InvalidInputError

if TYPE_CHECKING:
    from camera_hub.plans.models import SitePlan
    from camera_hub.plans.schemas import PlanOut

app = typer.Typer(
    help="Plans: drawings of floors and grounds with the cameras on them.", no_args_is_help=True
)

PlanArgument = Annotated[str, typer.Argument(help="Its id or name.", show_default=False)]
North = Annotated[
    float | None, typer.Option(help="Where north is, in degrees clockwise from the upper side.")
]


async def plan_named(hub: Any, name: str, area: str = "") -> "SitePlan":
    """Return the plan with this id, or with this name for a camera in `area`.

    Raises:
        InvalidInputError: there is none, or several have the name.
    """
    from api.plans import plans_of
    from camera_hub.plans.service import meant

    async with hub.database.read() as session:
        plans = await plans_of(hub, session, None)
    found = next((plan for plan in plans if str(plan.id) == name), None)
    return found if found is not None else meant(plans, name, area)


def drawing_in(file: Path) -> bytes:
    """Return the bytes of a drawing's file, of one too large no more than tell that.

    Raises:
        InvalidInputError: it cannot be read.
    """
    from camera_hub.plans.drawing import MAX_BYTES

    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidInputError(f"{file} cannot be read: {error.strerror}.") from None


@app.command("list")
def list_plans(json: AsJson = False) -> None:
    """List the plans and how many cameras stand on each."""

    async def work() -> "list[PlanOut]":
        from access.scope import EVERYTHING
        from api.plans import plans_of

        async with reading() as (hub, session):
            plans = await plans_of(hub, session, None)
            found: list[PlanOut] = await hub.plans.describe(session, plans, EVERYTHING)
            return found

    found = run(work)
    if json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    rows = [
        (one.name, one.area or "(site)", f"{one.width}x{one.height}", one.cameras, one.id)
        for one in found
    ]
    print_table(("name", "area", "size", "cameras", "id"), rows, "No plans yet: `plans add`.")


@app.command("add")
def add(
    file: Annotated[Path, typer.Argument(help="PNG, JPEG or WebP.", show_default=False)],
    name: Annotated[str, typer.Option(help="What people call it; default: the file's.")] = "",
    area: Annotated[str, typer.Option(help="e.g. county/town/garden.")] = "",
    north: North = None,
    json: AsJson = False,
) -> None:
    """Add a plan; it is drawn anew from its pixels alone."""
    given = {"name": name or file.stem, "area": area, "north": north or 0.0}

    async def work() -> "PlanOut":
        from api.plans import add_plan
        from camera_hub.plans.schemas import PlanFields

        async with opened_hub() as hub:
            body = PlanFields.model_validate(given)
            added: PlanOut = await add_plan(hub, None, body, drawing_in(file))
            return added

    added = _run(work)
    if json:
        print_json(added.model_dump(mode="json"))
    else:
        out.print(f"'{added.name}' is added: {added.id}", highlight=False, soft_wrap=True)


@app.command("set")
def set_plan(
    plan: PlanArgument,
    name: Annotated[str | None, typer.Option()] = None,
    area: Annotated[str | None, typer.Option()] = None,
    north: North = None,
    file: Annotated[
        Path | None, typer.Option(help="Another drawing; cameras keep their places on it.")
    ] = None,
) -> None:
    """Change a plan's name, area or north, or replace its drawing; what is not named stays."""
    named = {"name": name, "area": area, "north": north}
    given = {key: value for key, value in named.items() if value is not None}
    if not given and file is None:
        raise InvalidInputError("Nothing is named that should change.", remedy="See --help.")

    async def work() -> str:
        from api.plans import change_plan, replace_drawing
        from camera_hub.plans.schemas import PlanUpdate

        async with opened_hub() as hub:
            found = await plan_named(hub, plan)
            version = found.version
            if given:
                body = PlanUpdate.model_validate({"version": version, **given})
                version = (await change_plan(hub, None, found.id, body)).version
            if file is not None:
                await replace_drawing(hub, None, found.id, version, drawing_in(file))
            return name or found.name

    out.print(f"'{_run(work)}' is changed.", highlight=False)


@app.command("remove")
def remove(plan: PlanArgument) -> None:
    """Remove a plan; the cameras on it stay, and stand on none."""

    async def work() -> tuple[str, int]:
        from api.plans import remove_plan

        async with opened_hub() as hub:
            found = await plan_named(hub, plan)
            return found.name, await remove_plan(hub, None, found.id)

    name, cameras = _run(work)
    out.print(f"'{name}' is removed; {cameras} cameras stood on it.", highlight=False)


def _run(work: Any) -> Any:
    from pydantic import ValidationError

    try:
        return run(work)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise InvalidInputError(f"--{first['loc'][0]}: {first['msg']}.") from None
