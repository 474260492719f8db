"""What every command needs: settings, an open database, and tables on the screen."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from errno import EACCES
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from core.settings import Settings

T = TypeVar("T")

out = Console()
err = Console(stderr=True)


@dataclass
class _State:
    """Values of the options before the command's name."""

    config: Path | None = None
    data_dir: Path | None = None


state = _State()


def settings(overrides: dict[str, Any] | None = None) -> "Settings":
    """Read the settings, with the command line's options over them, and start logging."""
    from core.logging import configure_logging
    from core.settings import load_settings

    values = dict(overrides or {})
    if state.data_dir is not None:
        values["data_dir"] = str(state.data_dir)
    loaded = load_settings(state.config, overrides=values)
    configure_logging(loaded.log.level, loaded.log.format)
    return loaded


def site_settings() -> "Settings":
    """Read the settings of a site whose data this account may use.

    Raises:
        PermissionError: the data directory belongs to another account.
    """
    loaded = settings()
    if loaded.data_dir.exists() and not os.access(loaded.data_dir, os.R_OK | os.W_OK | os.X_OK):
        raise PermissionError(EACCES, "not yours", str(loaded.data_dir))
    return loaded


@asynccontextmanager
async def opened_hub() -> AsyncIterator[Any]:
    """Open the services on this node's database, brought up to date first.

    Whoever may write the data directory is its administrator: a command on the node asks no
    password, and an action it takes is logged as done by the command line.
    """
    from app.tables import all_tables

    # A row is written only where every table that its own refers to is known.
    all_tables()
    async with _hub() as hub:
        yield hub


@asynccontextmanager
async def reading() -> AsyncIterator[tuple[Any, Any]]:
    """Open the hub as `opened_hub` does, with a session that only reads.

    Only the tables are imported that the command itself imports.
    """
    async with _hub() as hub, hub.database.read() as session:
        yield hub, session


@asynccontextmanager
async def _hub() -> AsyncIterator[Any]:
    from api.services import Hub
    from app.schema import bring_up_to_date
    from core.clock import SystemClock

    # Each service is made, and imported, when the command asks for it.
    hub = Hub(site_settings(), SystemClock())
    try:
        await bring_up_to_date(hub.database)
        yield hub
    finally:
        await hub.close()


async def check_known_areas(session: Any, areas: Iterable[str]) -> None:
    """Refuse an area that is not in the tree, as the API does.

    Raises:
        InvalidInputError: code `unknown-area` or `invalid-area`.
    """
    from access.policy.areas import normalise_area
    from governance.areas.service import check

    for area in sorted({normalise_area(area) for area in areas}):
        await check(session, area)


def run(main: Callable[[], Awaitable[T]]) -> T:
    """Run an asynchronous command to its end."""

    async def call() -> T:
        return await main()

    return asyncio.run(call())


def print_json(value: Any) -> None:
    """Print `value` as one line of JSON."""
    import orjson

    out.file.write(orjson.dumps(value, default=str).decode() + "\n")
    out.file.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """Print `rows` under `columns`, or the sentence `empty` when there are none."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        # As text, not as markup: a name may hold square brackets.
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    if table.row_count:
        out.print(table)
    else:
        out.print(empty)
