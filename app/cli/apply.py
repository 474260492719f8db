"""`camera-hub apply site.yaml`: plans, cameras and their zones as a file says they should be."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli.context import opened_hub, run


def apply(
    file: Annotated[Path, typer.Argument(help="The file (YAML).", show_default=False)],
    dry_run: Annotated[
        bool, typer.Option(help="Show what would change, and change nothing.")
    ] = False,
) -> None:
    """Make plans, cameras and zones be as a file says; the same file twice changes nothing."""
    # Imported here: every other command would pay for it.
    from app.site_file import apply_file, read_file

    site = read_file(file)

    async def work() -> bool:
        async with opened_hub() as hub:
            return await apply_file(hub, site, dry_run=dry_run)

    if not run(work):
        sys.exit(1)
