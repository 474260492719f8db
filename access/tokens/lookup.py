"""Looking tokens up for many requests at once.

Requests that arrive while the store is being asked share the next question. Each is answered from
a read that began after it had arrived, so a token that was revoked before opens nothing.
"""

import asyncio
from contextlib import suppress
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from access.tokens.repository import TokenRow
from access.tokens.service import Tokens
from core.database import Database
from core.errors import HubError
from core.logging import get_logger
from core.metrics import counter

WRITE_AFTER_S = 0.5

_unwritten = counter("tokens_untouched", "Times that the use of a token could not be written")
_log = get_logger("access.tokens")


class TokenLookup:
    """The tokens of one store, as they are when they are asked for."""

    def __init__(self, database: Database, tokens: Tokens) -> None:
        self._database = database
        self._tokens = tokens
        self._waiting: dict[str, asyncio.Future[TokenRow | None]] = {}
        self._worker: asyncio.Task[None] | None = None
        self._used: set[UUID] = set()
        self._writer: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    async def resolve(self, secret: str) -> TokenRow | None:
        """Return the token with this secret if it counts, else None.

        Raises:
            SQLAlchemyError, OSError: the store could not be read.
        """
        found = self._waiting.get(secret)
        if found is None:
            found = self._waiting[secret] = asyncio.get_running_loop().create_future()
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._drain(), name="token-lookup")
        # Others may wait for the same answer: who gives up must not take it from them.
        return await asyncio.shield(found)

    async def _drain(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, {}
            try:
                async with self._database.read(short=True) as session:
                    found = await self._tokens.resolve_all(session, waiting)
            # Whatever it is, it is told to everybody who waits.
            except Exception as error:  # noqa: BLE001
                for answer in waiting.values():
                    answer.set_exception(error)
                    answer.exception()  # nobody may be left who would look at it
                continue
            for secret, answer in waiting.items():
                answer.set_result(found.get(secret))

    def used(self, row: TokenRow) -> None:
        """Have it written, soon and together with others, that the token is in use.

        An alarm must not wait for a commit that only says when its button was last heard. What a
        kill or a full disk loses here, the next use brings again.
        """
        if not self._tokens.needs_touch(row):
            return
        self._used.add(row.id)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write(), name="token-use")

    async def settle(self) -> None:
        """Write what was used, without delay; before the store closes."""
        self._closing.set()
        if self._writer is not None:
            await asyncio.wait([self._writer])

    async def _write(self) -> None:
        while self._used:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), WRITE_AFTER_S)
            used, self._used = self._used, set()
            try:
                async with self._database.transaction(short=True) as session:
                    await self._tokens.touch(session, used)
            except (SQLAlchemyError, OSError, HubError) as error:
                _unwritten.inc(len(used))
                _log.warning("token_use_not_written", error=type(error).__name__)
