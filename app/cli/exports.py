"""`camera-hub exports list | show | verify`."""

from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from app.cli.context import out, print_json, print_table, reading, run, settings
from core.errors import NotFoundError

app = typer.Typer(help="Exports of pictures.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


async def _rows(only: UUID | None = None) -> list[dict[str, Any]]:
    from governance.exports import repository

    async with reading() as (_, session):
        if only is None:
            rows = await repository.page(
                session, areas=[""], households=(), account_id=None, before=None, limit=1_000
            )
        else:
            found = await repository.by_id(session, only)
            rows = [] if found is None else [found]
        people = await repository.people(session, rows)

        def name(account_id: UUID | None) -> str:
            return "" if account_id is None else people[account_id].username

        return [
            {
                "number": row.number,
                "id": row.id,
                "state": row.state,
                "incident": row.incident_number,
                "audience": row.audience,
                "purpose": row.purpose,
                "reference": row.reference,
                "reason": row.reason,
                "requested_by": name(row.requested_by),
                "requested_at": row.requested_at,
                "decided_by": name(row.decided_by),
                "note": row.note,
                "expires_at": row.expires_at,
                "pictures": len(row.attachment_ids),
                "sha256": row.sha256,
                "failure": row.failure,
            }
            for row in rows
        ]


@app.command("list")
def list_exports(json: AsJson = False) -> None:
    """List exports, newest first."""
    rows = run(_rows)
    if json:
        print_json(rows)
        return
    columns = ("number", "id", "state", "incident", "audience", "requested_by", "decided_by")
    print_table(columns, [[row[c] for c in columns] for row in rows], "No exports yet.")


@app.command("show")
def show_export(
    export_id: Annotated[UUID, typer.Argument(help="The export's id.", show_default=False)],
    json: AsJson = False,
) -> None:
    """Show one export."""
    rows = run(lambda: _rows(export_id))
    if not rows:
        raise NotFoundError("There is no such export.", remedy="See `camera-hub exports list`.")
    if json:
        print_json(rows[0])
    else:
        print_table(("", ""), rows[0].items(), "")


def verified(path: Path, public_key: Path | None) -> dict[str, Any]:
    """Return the manifest of an export that is as it was signed; raises BadExportError."""
    from access.ledger.keys import LedgerKeys, key_id, read_public
    from governance.exports.package import check

    if public_key is None:
        return check(path, LedgerKeys(settings().ledger_dir / "keys").public())
    public = read_public(public_key)
    return check(path, {key_id(public): public})


@app.command("verify")
def verify_export(
    file: Annotated[Path, typer.Argument(help="The zip.", show_default=False)],
    public_key: Annotated[
        Path | None,
        typer.Option(
            "--public-key",
            "--key",
            help="Public key (.pub) of the site; default: those of the data directory.",
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Check signature and hashes of an export; `evidence verify` says more of recordings."""
    manifest = verified(file, public_key)
    if json:
        print_json(manifest)
    else:
        who = manifest["requested_by"]
        out.print(
            f"Good: export {manifest['number']}, {len(manifest['pictures'])} picture(s) of "
            f"incident {manifest['incident']}, made for {who['display_name']} "
            f"({who['username']}), valid until {manifest['expires_at']}.",
            highlight=False,
            markup=False,
        )
