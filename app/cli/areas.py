"""`camera-hub areas …`: the tree of areas."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.context import opened_hub, out, print_json, reading, run

if TYPE_CHECKING:
    from governance.areas.schemas import AreaOut

app = typer.Typer(help="The tree of areas.", no_args_is_help=True)

Path = Annotated[str, typer.Argument(help="e.g. county/town/garden", show_default=False)]


@app.command("list")
def list_areas(
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the tree. Without one, every path may be used."""

    async def work() -> "list[AreaOut]":
        from governance.areas import repository
        from governance.areas.schemas import AreaOut

        async with reading() as (_, session):
            return [AreaOut.of(row) for row in await repository.open_areas(session)]

    found = run(work)
    if json:
        print_json([area.model_dump(mode="json") for area in found])
        return
    if not found:
        out.print("No areas yet: every path may be used. `areas add` begins a tree.")
    for area in found:
        part = area.path.rpartition("/")[2]
        name = "" if area.name == part else f"  {area.name}"
        out.print(
            f"{'  ' * (area.depth - 1)}{part}{name}  ({area.level})",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


@app.command("add")
def add(
    path: Path,
    name: Annotated[str, typer.Option(help="Shown to people; default: the path's last part.")] = "",
    level: Annotated[
        str,
        typer.Option(help="county, township, community or cell; default: below the one above."),
    ] = "",
) -> None:
    """Add an area. From the first one on, nothing new is filed under a path outside of the tree."""
    from governance.areas.schemas import LEVELS

    if level and level not in LEVELS:
        raise typer.BadParameter(f"choose {', '.join(LEVELS)}", param_hint="--level")

    async def work() -> "AreaOut":
        from core.errors import InvalidInputError
        from governance.areas.schemas import AreaCreate, AreaOut

        try:
            body = AreaCreate(
                path=path,
                name=name or path.rstrip("/").rpartition("/")[2],
                level=level or None,
            )
        except ValueError as error:
            raise InvalidInputError(
                "The path or the name cannot be used.",
                remedy="Use 1 to 120 printable characters for the name.",
            ) from error
        async with opened_hub() as hub, hub.database.transaction() as session:
            row = await hub.governance.areas.add(
                session, None, path=body.path, name=body.name, level=body.level
            )
            return AreaOut.of(row)

    area = run(work)
    out.print(f"Area added: {area.path} ({area.level})", highlight=False, markup=False)


@app.command("close")
def close(path: Path) -> None:
    """Take an area out of the tree; refused, with a list, while anything is filed under it."""

    async def work() -> None:
        from access.policy.areas import normalise_area
        from api.areas import camera_uses

        async with opened_hub() as hub, hub.database.transaction() as session:
            row = await hub.governance.areas.get(session, normalise_area(path))
            await hub.governance.areas.close(
                session, None, row, await camera_uses(session, row.path)
            )

    run(work)
    out.print(f"Area closed: {path}", highlight=False, markup=False)
