"""The node's service token, as its own processes read it."""

from collections.abc import Callable
from pathlib import Path

from core.settings import Settings


def token_file(settings: Settings) -> Path:
    """Where the api process leaves the token (mode 0600)."""
    return settings.run_dir / "service.token"


def token_reader(settings: Settings) -> Callable[[], str]:
    """Return a function that reads the token anew each time; '' while there is none yet.

    The file is a few bytes in memory cache, and reading it each time needs no rule about when a
    token may have been replaced.
    """
    path = token_file(settings)

    def read() -> str:
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            return ""

    return read
