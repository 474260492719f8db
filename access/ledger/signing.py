"""Signs the chain within a second of each new entry, and keeps the signatures outside as well.

Before it signs it recomputes the chain from what it signed last: what somebody bent in the
database meanwhile never gets a signature.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy.ext.asyncio import AsyncSession

from access.ledger import keys, repository
from access.ledger.chain import GENESIS
from access.ledger.checkpoints import Checkpoint, CheckpointFile
from access.ledger.keys import LedgerKeyError, LedgerKeys
from access.ledger.service import Ledger
from access.ledger.times import to_us
from access.ledger.verifying import KEY_KIND, BentError, follow
from access.policy.types import Actor
from core.clock import Clock
from core.database import Database
from core.errors import ConflictError, HubError
from core.logging import get_logger
from core.metrics import counter

POLL_S = 0.5
"""How often entries of other processes (the command line) are looked for."""
BATCH_S = 0.5
"""How long entries are gathered for one signature: each has its own commit, and waits for disks."""
_CHECK_BATCH = 2_000

_signed = counter("ledger_checkpoints", "Checkpoints of the ledger that were signed")
_failed = counter("ledger_signing_failures", "Times that the ledger could not be signed")
_log = get_logger("access.ledger")

Report = Callable[[str], Awaitable[None]]
"""Called with what keeps the ledger from being signed, once; with "" when it is signed again."""


class LedgerBentError(HubError):
    """The ledger in the database is not the one that was signed (never signed over)."""

    code = "ledger-bent"


class Signer:
    """Makes checkpoints and keeps the signing key. One per site runs its loop."""

    def __init__(self, database: Database, clock: Clock, ledger: Ledger, directory: Path) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._keys = LedgerKeys(ledger.keys_dir)
        self._file = CheckpointFile(directory)
        self._last: Checkpoint | None = None
        self._carried = 0
        self._trouble = ""

    async def run(self, report: Report) -> None:
        """Sign for ever. What keeps it from signing is reported once, and so is its end."""
        self._last, self._carried = None, 0
        while True:
            trouble = await self._try()
            if trouble != self._trouble:
                if trouble:
                    _log.error("ledger_not_signed", why=trouble)
                else:
                    _log.info("ledger_signed_again")
                await report(trouble)
                self._trouble = trouble
            try:
                await asyncio.wait_for(self._ledger.written.wait(), POLL_S)
            except TimeoutError:
                continue
            self._ledger.written.clear()
            await asyncio.sleep(BATCH_S)

    async def _try(self) -> str:
        try:
            await self.sign()
        except (HubError, OSError) as error:
            # What is wrong may be cleared up meanwhile: next time it is read anew.
            self._last, self._carried = None, 0
            _failed.inc()
            # Without numbers that change from try to try: one fault is one incident.
            return (
                f"checkpoints.jsonl or a key cannot be written: {error.strerror}"
                if isinstance(error, OSError)
                else str(error)
            )
        return ""

    async def sign(self) -> Checkpoint | None:
        """Sign what is new; return the newest checkpoint.

        Raises:
            LedgerBentError: the chain does not go on from what was signed.
            LedgerKeyError: the signing key is lost.
            OSError: the file of checkpoints cannot be written; the database has them already.
        """
        await self._take_up()
        if self._last is None:
            await self._begin()
        seq, digest = await self._checked_head()
        if self._last is None or seq > self._last.seq:
            async with self._database.read() as session:
                name, private = await self._current(session)
            at_us = to_us(self._clock.now())
            made = Checkpoint(seq, digest, at_us, name).signed(private)
            async with self._database.transaction() as session:
                await repository.add_checkpoint(session, made)
            _signed.inc()
            self._last = made
        await self._carry_out()
        return self._last

    async def rotate(self, session: AsyncSession, actor: Actor | None, *, lost: bool) -> str:
        """Write the entry of a new key and return its id; the caller commits, then calls `retire`.

        Args:
            session: the transaction.
            actor: who asked; None for the command line.
            lost: the key so far is gone: the new one is not introduced by it.

        Raises:
            LedgerKeyError: the key so far cannot be read (and `lost` is not set).
            ConflictError: `lost` is set, but the key is there.
            OSError: the directory cannot be written.
        """
        entry = await repository.newest_of_kind(session, KEY_KIND)
        before: Ed25519PrivateKey | None = None
        if entry is not None:
            try:
                _, before = await self._current(session)
            except LedgerKeyError:
                if not lost:
                    raise
            if before is not None and lost:
                raise ConflictError(
                    "The signing key is not lost.", remedy="Rotate it without --lost."
                )
        fresh = await asyncio.to_thread(self._keys.create)
        old = "" if entry is None else str(json.loads(entry.body)["key_id"])
        return await self._introduce(session, fresh, actor, old, before)

    async def document_key(
        self,
    ) -> tuple[str, Ed25519PublicKey, Callable[[bytes], bytes]]:
        """Return the id of the current key, its public part, and what signs a document with it.

        A document never begins as a checkpoint or the introduction of a key does.

        Raises:
            LedgerKeyError: the key is lost.
        """
        await self._begin()
        async with self._database.read() as session:
            name, private = await self._current(session)

        def sign(document: bytes) -> bytes:
            if document.startswith(b"camera-hub "):
                raise ValueError("this is no document")
            return private.sign(document)

        return name, private.public_key(), sign

    def retire(self, name: str) -> None:
        """Remove the private file of every key but `name`; their public files stay."""
        for other in self._keys.public():
            if other != name:
                self._keys.retire(other)

    async def _begin(self) -> None:
        """Make the first key unless the ledger names one."""
        async with self._database.read() as session:
            if await repository.newest_of_kind(session, KEY_KIND) is not None:
                return
        fresh = await asyncio.to_thread(self._keys.create)
        async with self._database.transaction() as session:
            await self._introduce(session, fresh, None)

    async def _introduce(
        self,
        session: AsyncSession,
        fresh: Ed25519PrivateKey,
        actor: Actor | None,
        old: str = "",
        before: Ed25519PrivateKey | None = None,
    ) -> str:
        public = fresh.public_key()
        name = keys.key_id(public)
        signature = before.sign(keys.introduction(public)).hex() if before else ""
        data: dict[str, str | bool] = {
            "key_id": name,
            "public_key": keys.to_text(public),
            "previous_key_id": old,
            "introduced_by": signature,
            "broken": bool(old) and before is None,
        }
        await self._ledger.append(session, KEY_KIND, actor=actor, subject=name, data=data)
        return name

    async def _current(self, session: AsyncSession) -> tuple[str, Ed25519PrivateKey]:
        entry = await repository.newest_of_kind(session, KEY_KIND)
        if entry is None:
            raise LedgerBentError("The ledger names no signing key.", remedy=_BENT)
        name = str(json.loads(entry.body)["key_id"])
        return name, await asyncio.to_thread(self._keys.load, name)

    async def _carry_out(self) -> None:
        """Append to the file what the database has and the file lacks, in order."""
        if self._last is None or self._carried >= self._last.seq:
            return
        outside = await asyncio.to_thread(self._file.last)
        after = outside.seq if outside is not None else 0
        while True:
            async with self._database.read() as session:
                batch = await repository.checkpoints_after(session, after, _CHECK_BATCH)
            if batch:
                await asyncio.to_thread(self._file.append, batch)
                after = batch[-1].seq
            if len(batch) < _CHECK_BATCH:
                break
        self._carried = after

    async def _take_up(self) -> None:
        """Find what was signed last, here or outside, and see that it is still there."""
        if self._last is not None:
            return
        try:
            outside = await asyncio.to_thread(self._file.last)
        except ValueError as error:
            raise LedgerBentError(
                f"The last line of {self._file.path} is no checkpoint.", remedy=_BENT
            ) from error
        async with self._database.read() as session:
            inside = await repository.newest_checkpoint(session)
            if outside is not None and (inside is None or inside.seq < outside.seq):
                raise LedgerBentError(
                    f"The database lacks the checkpoint of entry {outside.seq} that "
                    f"{self._file.path} has.",
                    remedy=_BENT,
                )
            if inside is not None and (
                await repository.hash_of(session, inside.seq) != inside.hash
            ):  # cut off or chained anew
                raise LedgerBentError(
                    f"Entry {inside.seq} is not the one that was signed.", remedy=_BENT
                )
        self._last = inside

    async def _checked_head(self) -> tuple[int, bytes]:
        """Recompute the chain from what was signed last; return the newest entry that fits."""
        seq, digest = (self._last.seq, self._last.hash) if self._last else (0, GENESIS)
        async with self._database.read() as session:
            if (await repository.head(session)) == (seq, digest) and seq:
                return seq, digest
            if self._last is not None and await repository.hash_of(session, seq) != digest:
                raise LedgerBentError(f"Entry {seq} is not the one that was signed.", remedy=_BENT)
            try:
                more = True
                while more:
                    rows = await repository.raw_after(session, seq, _CHECK_BATCH)
                    for seq, digest in follow(digest, seq, rows):  # noqa: B007, B020
                        pass
                    more = len(rows) == _CHECK_BATCH
            except BentError as bent:
                raise LedgerBentError(
                    f"The ledger was changed: entry {bent.bad.seq} {bent.bad.problem}.",
                    remedy=_BENT,
                ) from bent
            head = await repository.head(session)
        if head[0] < seq or (head[0] == seq and head[1] != digest):
            raise LedgerBentError(f"The ledger's head is not entry {seq}.", remedy=_BENT)
        return seq, digest


_BENT = (
    "Nothing is signed until this is cleared up. Run `camera-hub ledger verify`, find out who "
    "wrote to the database, and restore it from your backup; new entries go on being written. "
    "If it was just restored from one, `camera-hub ledger accept-loss` enters what is lost."
)
