"""`camera-hub ledger verify | checkpoint | list | head | accept-loss | keys`."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.cli.context import err, opened_hub, out, print_json, print_table, run, site_settings
from core.errors import NotFoundError, UnavailableError

if TYPE_CHECKING:
    from access.ledger.verifying import Verdict
    from core.database import Database

app = typer.Typer(help="The record of who looked and who changed a right.", no_args_is_help=True)
keys = typer.Typer(help="Signing keys of the ledger.", no_args_is_help=True)
app.add_typer(keys, name="keys")

AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@asynccontextmanager
async def _opened() -> "AsyncIterator[tuple[Database, Any]]":
    """Open the database as it is, without bringing it up to date."""
    from sqlalchemy.exc import SQLAlchemyError

    from core.database import Database
    from core.logging import redact_text

    loaded = site_settings()
    database = Database(loaded.database_url, busy_timeout_s=loaded.database.busy_timeout_s)
    file = database.url.database
    if database.is_sqlite and file and not await asyncio.to_thread(Path(file).exists):
        raise _no_ledger(f"there is no {file}")
    try:
        yield database, loaded
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise _no_ledger(redact_text(str(error).splitlines()[0])) from error
    finally:
        await database.close()


def _no_ledger(why: str) -> UnavailableError:
    return UnavailableError(
        f"The ledger cannot be read: {why}.",
        remedy="Check `data_dir` and `database.url`, and that the hub has been started once.",
    )


@app.command("verify")
def verify_ledger(
    checkpoint: Annotated[
        Path | None, typer.Option(help="A checkpoint exported earlier, to compare with.")
    ] = None,
    public_key: Annotated[
        Path | None,
        typer.Option(help="Believe this public key (.pub) instead of those of the data directory."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Find the first entry that was removed, changed, moved or put in. Exit status 1 if any."""

    async def work() -> "Verdict":
        from access.ledger.checkpoints import read_exported
        from access.ledger.keys import LedgerKeys, key_id, read_public
        from access.ledger.reading import verify
        from access.ledger.times import to_us
        from core.clock import SystemClock

        given = None if checkpoint is None else read_exported(checkpoint)
        async with _opened() as (database, loaded):
            if public_key is None:
                roots = LedgerKeys(loaded.ledger_dir / "keys").public()
            else:
                believed = read_public(public_key)
                roots = {key_id(believed): believed}
            with Progress(
                TextColumn("verifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                console=err, transient=True, disable=json or not err.is_terminal,
            ) as bar:  # fmt: skip
                task = bar.add_task("")
                return await verify(
                    database,
                    loaded.ledger_dir,
                    roots,
                    now_us=to_us(SystemClock().now()),
                    given=given,
                    progress=lambda done, total: bar.update(task, completed=done, total=total),
                )

    verdict = run(work)
    if json:
        print_json(verdict.to_json())
    else:
        _show(verdict)
    if verdict.bad:
        sys.exit(1)


def _show(verdict: "Verdict") -> None:
    if verdict.bad:
        out.print(
            f"BAD. Entry {verdict.bad.seq} {verdict.bad.problem}.", highlight=False, markup=False
        )
        out.print(f"The {verdict.checked} entries before it are as they were.", highlight=False)
    else:
        out.print(
            f"Good: {verdict.checked} entries in one chain, signed up to entry "
            f"{verdict.signed_through}.",
            highlight=False,
        )
        if verdict.checked > verdict.signed_through:
            out.print(
                f"{verdict.checked - verdict.signed_through} newer ones are chained but not signed "
                "yet; the running hub signs them within a second.",
                highlight=False,
            )
    for note in verdict.notes:
        out.print(note, highlight=False, markup=False)


@app.command("checkpoint")
def export_checkpoint(
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write it.")],
) -> None:
    """Write the newest signed checkpoint to a file, to be kept where nobody here can change it."""

    async def work() -> dict[str, Any]:
        from access.ledger import repository
        from access.ledger.keys import LedgerKeys, to_text

        async with _opened() as (database, loaded):
            async with database.read() as session:
                newest = await repository.newest_checkpoint(session)
            if newest is None:
                raise NotFoundError(
                    "Nothing is signed yet.", remedy="Start the hub: it signs within a second."
                )
            value = newest.to_json()
            public = LedgerKeys(loaded.ledger_dir / "keys").public().get(newest.key_id)
            if public is not None:
                value["public_key"] = to_text(public)
            return value

    import orjson

    value = run(work)
    output.write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")
    out.print(f"Entry {value['seq']} and all before it: {output}", highlight=False, markup=False)


@app.command("list")
def list_entries(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 50,
    kind: Annotated[str | None, typer.Option(help="Only of this kind, e.g. view.opened.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only of this camera, account, …")] = None,
    json: AsJson = False,
) -> None:
    """List entries, newest first."""

    async def work() -> list[tuple[Any, ...]]:
        from uuid import UUID

        from access.ledger import repository
        from access.ledger.times import from_us

        async with _opened() as (database, _), database.read() as session:
            rows = await repository.page(
                session, areas=[""], kind=kind, subject=subject, limit=limit
            )
            ids = {UUID(row.actor_id) for row in rows if row.actor_kind == "account"}
            names = {str(i): a.username for i, a in (await repository.names(session, ids)).items()}
            return [
                (
                    row.seq,
                    from_us(row.at).isoformat(timespec="seconds"),
                    row.kind,
                    names.get(row.actor_id, row.actor_id or "(hub)"),
                    row.area or "(site)",
                    row.subject,
                    row.body,
                )
                for row in rows
            ]

    columns = ("seq", "at", "kind", "actor", "area", "subject", "data")
    rows = run(work)
    if json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        print_table(columns, rows, "No entries.")


@app.command("head")
def show_head(json: AsJson = False) -> None:
    """Print number and hash of the newest entry."""

    async def work() -> dict[str, Any]:
        from access.ledger import repository

        async with _opened() as (database, _), database.read() as session:
            seq, digest = await repository.head(session)
            newest = await repository.newest_checkpoint(session)
            return {
                "seq": seq,
                "hash": digest.hex(),
                "signed_through": newest.seq if newest else 0,
            }

    value = run(work)
    if json:
        print_json(value)
    else:
        out.print(f"{value['seq']} {value['hash']}", highlight=False)


@app.command("accept-loss")
def accept_loss(
    reason: Annotated[str, typer.Option(help="Why the end is lost; it stands in the ledger.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """After a backup was restored: enter that the newest entries are lost, and sign on."""
    if not reason.strip():
        raise typer.BadParameter("Say why the entries are lost.", param_hint="--reason")

    async def work() -> tuple[int, Path] | None:
        from access.ledger.losses import enter_loss, find_loss, set_aside

        async with opened_hub() as hub:
            directory = hub.settings.ledger_dir
            loss = await find_loss(hub.database, hub.ledger, directory)
            out.print(
                f"Signed once and gone: what came after entry {loss.kept_through}, up to entry "
                f"{loss.lost.seq}. That this was lost stands in the ledger for good, and every "
                "verification tells of it.",
                highlight=False,
            )
            if not yes and not await asyncio.to_thread(typer.confirm, "Is the loss known to you?"):
                return None
            async with hub.database.transaction() as session:
                await enter_loss(session, hub.ledger, loss, reason.strip())
            aside = await asyncio.to_thread(set_aside, directory, loss)
            newest = await hub.signer.sign()
            return (0 if newest is None else newest.seq), aside

    done = run(work)
    if done is None:
        err.print("Nothing was changed.")
        sys.exit(1)
    out.print(
        f"Signed up to entry {done[0]}. The signatures of what is lost: {done[1]}",
        highlight=False,
        markup=False,
    )


@keys.command("rotate")
def rotate_keys(
    lost: Annotated[
        bool, typer.Option("--lost", help="The key file is gone: the new one stands alone.")
    ] = False,
) -> None:
    """Make a new signing key, introduced by the old one, whose private file is then removed."""

    async def work() -> str:
        async with opened_hub() as hub:
            async with hub.database.transaction() as session:
                name = await hub.signer.rotate(session, None, lost=lost)
            await hub.signer.sign()
            hub.signer.retire(name)
            return str(name)

    name = run(work)
    out.print(f"The ledger is now signed with key {name}.", highlight=False)
    err.print("Keep a copy of ledger/keys (both files) apart from the database's backup.")


@keys.command("list")
def list_keys() -> None:
    """List the public keys of the data directory."""
    from access.ledger.keys import LedgerKeys

    directory = site_settings().ledger_dir / "keys"
    rows = [
        (name, "signs" if (directory / f"{name}.key").exists() else "checks old checkpoints")
        for name in LedgerKeys(directory).public()
    ]
    print_table(("key", ""), rows, "No key yet: the hub makes one when it starts.")
