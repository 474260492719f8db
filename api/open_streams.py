"""How many live views and event streams stay open at once: for an account, and from an address.

Each costs a task, a buffer and a question to the door every second; without a limit one signed-in
browser, or one stolen session, could take them all.
"""

from collections import Counter
from collections.abc import AsyncIterator, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import params
from starlette.requests import HTTPConnection

from access.policy.types import Actor
from core.errors import HubError
from core.metrics import counter
from core.settings import ServerSettings

_REFUSED = counter("streams_refused", "Streams refused because too many were open", ("limit",))
RETRY_AFTER_S = 10


class TooManyStreamsError(HubError):
    """The account, or its address, holds as many streams as it may (429)."""

    status = 429
    code = "too-many-streams"


class OpenStreams:
    """Counts what is open in this process."""

    def __init__(self, server: ServerSettings) -> None:
        self._limits = {
            "account": server.streams_per_account,
            "address": server.streams_per_address,
        }
        self._open: Counter[tuple[str, Hashable]] = Counter()

    @property
    def count(self) -> int:
        """How many are open."""
        return sum(n for (kind, _), n in self._open.items() if kind == "account")

    @contextmanager
    def held(self, actor: Actor, address: str) -> Iterator[None]:
        """Count one stream of `actor` while the block runs.

        Raises:
            TooManyStreamsError: the account or the address holds too many already.
        """
        keys: list[tuple[str, Hashable]] = [("account", actor.id), ("address", address)]
        for kind, owner in keys:
            if self._open[kind, owner] >= self._limits[kind]:
                _REFUSED.labels(kind).inc()
                raise TooManyStreamsError(
                    f"This {kind} has {self._limits[kind]} live views and event streams open.",
                    remedy="Close other windows of the console and try again, or ask for a higher "
                    f"server.streams_per_{kind}.",
                    detail={"retry_after": RETRY_AFTER_S},
                )
        self._open.update(keys)
        try:
            yield
        finally:
            self._open.subtract(keys)
            for key in keys:
                if not self._open[key]:
                    del self._open[key]


async def _slot(connection: HTTPConnection) -> AsyncIterator[None]:
    actor = connection.state.actor
    address = connection.client.host if connection.client else ""
    with connection.app.state.open_streams.held(actor, address):
        yield


stream_slot: Any = params.Depends(_slot)
"""Dependency of every route that stays open; it stands after `permit`, which says who asks."""
