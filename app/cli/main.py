"""Puts the commands together and turns a HubError into one readable line.

All modules of commands are imported for each command, `--help` too. So their heads name the
standard library, typer, rich and each other; what a command works with is imported inside it.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli import (
    access,
    alarms,
    apply,
    areas,
    camera_clocks,
    camera_search,
    camera_settings,
    cameras,
    deliveries,
    drill,
    duty,
    evidence,
    exports,
    homes,
    incidents,
    law,
    ledger,
    models,
    plans,
    policies,
    recordings,
    secrets,
    site,
    users,
)
from app.cli.context import state
from core.errors import HubError

app = typer.Typer(
    name="camera-hub",
    help="Cameras, one-key alarms and reports in one durable queue, handled in a closed loop.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(access.app, name="access")
app.add_typer(alarms.app, name="alarms")
app.add_typer(areas.app, name="areas")
app.add_typer(cameras.app, name="cameras")
camera_search.register(cameras.app)
camera_settings.register(cameras.app)
camera_clocks.register(cameras.app)
app.command("apply")(apply.apply)
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(deliveries.gateways, name="gateways")
app.add_typer(duty.app, name="duty")
app.add_typer(evidence.app, name="evidence")
app.add_typer(exports.app, name="exports")
app.add_typer(homes.app, name="households")
app.add_typer(homes.grants, name="grants")
app.add_typer(incidents.app, name="incidents")
app.command("drill")(drill.drill)
app.add_typer(ledger.app, name="ledger")
app.add_typer(law.app, name="law")
app.add_typer(law.residents, name="residents")
app.add_typer(law.seals, name="seals")
app.command("transparency")(law.transparency)
app.add_typer(models.app, name="models")
app.add_typer(plans.app, name="plans")
app.add_typer(policies.app, name="policies")
app.add_typer(recordings.app, name="recordings")
app.add_typer(secrets.app, name="secrets")
app.add_typer(users.app, name="users")
app.add_typer(users.tokens, name="tokens")
site.register(app)


def _say_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"camera-hub {version('camera-hub')}")
        raise typer.Exit


@app.callback()
def options(
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="Settings file (YAML).", show_default=False),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Overrides `data_dir`.", show_default=False)
    ] = None,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_say_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    """Options that every command shares."""
    state.config = config
    state.data_dir = data_dir


def main() -> None:
    """Entry of the console script `camera-hub`."""
    # Database, pictures and spool are for this account alone, whoever made their folder.
    os.umask(0o077)
    try:
        app()
    except HubError as error:
        from core.logging import redact_text

        sys.stderr.write(f"camera-hub: {redact_text(str(error))}\n")
        sys.exit(1)
    except PermissionError as error:
        # The data directory is the door of the command line: it is open to one account only.
        sys.stderr.write(
            f"camera-hub: This account may not use {error.filename}. Run the command as the "
            "account that the hub runs as.\n"
        )
        sys.exit(1)
