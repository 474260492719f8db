"""Looking tokens up for many requests at once.

Requests that arrive while the store is being asked share the next question. Each is answered from
a read that began after it had arrived, so a token that was revoked before opens nothing.
"""

import asyncio

from access.tokens.models import ServiceToken
from access.tokens.service import Tokens
from core.database import Database


class TokenLookup:
    """The tokens of one store, as they are when they are asked for."""

    def __init__(self, database: Database, tokens: Tokens) -> None:
        self._database = database
        self._tokens = tokens
        self._waiting: dict[str, asyncio.Future[ServiceToken | None]] = {}
        self._worker: asyncio.Task[None] | None = None

    async def resolve(self, secret: str) -> ServiceToken | None:
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
                async with self._database.read() as session:
                    found = await self._tokens.resolve_all(session, waiting)
            # Whatever it is, it is told to everybody who waits.
            except Exception as error:  # noqa: BLE001
                for answer in waiting.values():
                    answer.set_exception(error)
                    answer.exception()  # nobody may be left who would look at it
                continue
            for secret, answer in waiting.items():
                answer.set_result(found.get(secret))
