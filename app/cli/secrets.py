"""`camera-hub secrets`: the key that encrypts credentials at rest."""

import typer

from app.cli.context import opened_hub, out, run, settings

app = typer.Typer(help="The key that encrypts credentials at rest.", no_args_is_help=True)


@app.command()
def rotate() -> None:
    """Make a new key and encrypt every stored credential with it; the hub may keep running."""
    from app.tables import all_tables
    from core.rotation import Rotation
    from core.rotation import rotate as replace_key

    path = settings().secret_key_file
    all_tables()

    async def work() -> Rotation:
        async with opened_hub() as hub:
            return await replace_key(hub.database, path)

    done = run(work)
    out.print(f"{done.resealed} credentials are encrypted with the new key.")
    if done.old_key_removed:
        out.print(f"The old key is gone. Back up {path} now: older backups need the old key.")
    else:
        out.print(f"{path} cannot be written: remove the keys after the first from it yourself.")
