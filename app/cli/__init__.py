"""The command line: `camera-hub <command>`. Each command is thin; the work is below."""

from app.cli.main import main

__all__ = ["main"]
