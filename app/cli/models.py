"""`camera-hub models list | pull | optimize`."""

import typer

app = typer.Typer(help="Detection models.", no_args_is_help=True)
