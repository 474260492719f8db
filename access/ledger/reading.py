"""Streams a ledger into the verifier: a raw read-only cursor on either store, without the ORM."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from heapq import merge
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from access.ledger.checkpoints import Checkpoint, CheckpointFile
from access.ledger.times import from_us
from access.ledger.verifying import (
    KEY_KIND,
    BentError,
    KeyRing,
    Mark,
    RowTuple,
    Verdict,
    Verifier,
)
from core.database import Database
from core.errors import UnavailableError

BATCH = 5_000
"""Entries in one batch: about 2 MB."""

LOSS_KIND = "ledger.loss"

_COLUMNS = "seq, at, kind, area, actor_kind, actor_id, subject, body, hash"
_ENTRIES = f"SELECT {_COLUMNS} FROM ledger_entry ORDER BY seq"  # noqa: S608  # constants only
_MARKS = "SELECT seq, hash, at, key_id, signature FROM ledger_checkpoint"
_HEAD = "SELECT seq, hash FROM ledger_head WHERE id = 1"

Progress = Callable[[int, int], None]
"""Called with (entries checked, entries there are)."""


class _Store(Protocol):
    """One snapshot of a store."""

    async def rows(self, query: str, *values: Any) -> Sequence[RowTuple]: ...
    def batches(self) -> AsyncIterator[Sequence[RowTuple]]: ...


class _Sqlite:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def rows(self, query: str, *values: Any) -> Sequence[RowTuple]:
        return self._connection.execute(query, values).fetchall()

    async def batches(self) -> AsyncIterator[Sequence[RowTuple]]:
        cursor = self._connection.execute(_ENTRIES)
        while rows := cursor.fetchmany(BATCH):
            yield rows


class _Postgresql:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def rows(self, query: str, *values: Any) -> Sequence[RowTuple]:
        numbered = query
        for number in range(1, len(values) + 1):
            numbered = numbered.replace("?", f"${number}", 1)
        found = await self._connection.fetch(numbered, *values)
        return [tuple(map(_as_bytes, row)) for row in found]

    async def batches(self) -> AsyncIterator[Sequence[RowTuple]]:
        cursor = await self._connection.cursor(_ENTRIES)
        while rows := await cursor.fetch(BATCH):
            yield [
                (s, at, k.encode(), a.encode(), t.encode(), i.encode(), u.encode(), b.encode(), h)
                for s, at, k, a, t, i, u, b, h in rows
            ]


def _as_bytes(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


@asynccontextmanager
async def _snapshot(database: Database) -> AsyncIterator[_Store]:
    """Open one unchanging view of the store, for reading only."""
    if database.is_sqlite:
        path = database.url.database or ""
        try:
            connection = sqlite3.connect(
                f"file:{quote(path)}?mode=ro", uri=True, isolation_level=None
            )
        except sqlite3.OperationalError as error:
            raise UnavailableError(
                f"The database {path} cannot be opened: {error}.",
                remedy="Check `data_dir` and `database.url`.",
            ) from error
        with closing(connection):
            connection.text_factory = bytes
            connection.execute("BEGIN")
            yield _Sqlite(connection)
        return
    async with database.engine.connect() as outer:
        driver: Any = (await outer.get_raw_connection()).driver_connection
        async with driver.transaction(isolation="repeatable_read", readonly=True):
            yield _Postgresql(driver)


async def verify(
    database: Database,
    directory: Path,
    roots: dict[str, Ed25519PublicKey],
    *,
    now_us: int,
    given: Checkpoint | None = None,
    size: int | None = None,
    progress: Progress = lambda _checked, _total: None,
) -> Verdict:
    """Check the whole ledger of `database` and return the verdict; `bad` is the first fault.

    On SQLite it works the event loop's thread to the full: run it in a process of its own.

    Args:
        database: the store.
        directory: where `checkpoints.jsonl` lies.
        roots: the public keys that are believed, by id.
        now_us: the present, in microseconds since 1970-01-01 UTC.
        given: a checkpoint that was exported earlier.
        size: how many bytes of `checkpoints.jsonl` to believe; None for all.
        progress: called after each batch.
    """
    # Before the snapshot: a checkpoint is in the database before it is in the file.
    file = CheckpointFile(directory)
    size = file.size() if size is None else size
    verdict = Verdict()
    try:
        async with _snapshot(database) as store:
            heads = await store.rows(_HEAD)
            entries = await store.rows(
                "SELECT seq, body FROM ledger_entry WHERE kind = ? ORDER BY seq", KEY_KIND
            )
            losses = await store.rows(
                "SELECT seq, at, body FROM ledger_entry WHERE kind = ? ORDER BY seq", LOSS_KIND
            )
            ring = KeyRing(roots, ((seq, bytes(body)) for seq, body in entries))
            total = heads[0][0] if heads else 0
            verifier = Verifier(ring, _outside(file, size, given), total)
            verdict = verifier.verdict
            # Also where the rest is bad: it may be why.
            verdict.notes += [_told(seq, at, bytes(body)) for seq, at, body in losses]
            async for rows in store.batches():
                verifier.feed(rows, await _marks(store, verifier.seq, rows[-1][0]))
                progress(verifier.seq, total)
            beyond = await _marks(store, verifier.seq, 2**63 - 1)
            head = (heads[0][0], heads[0][1]) if heads else None
            return verifier.finish(head, beyond, now_us)
    except BentError as bent:
        verdict.bad = bent.bad
        return verdict


async def _marks(store: _Store, after: int, until: int) -> list[Checkpoint]:
    """Return the database's checkpoints for entries after `after` and up to `until`."""
    rows = await store.rows(
        f"{_MARKS} WHERE seq > ? AND seq <= ? ORDER BY seq", after, max(after, until)
    )
    try:
        return [
            Checkpoint(seq, bytes(digest), int(at), bytes(name).decode(), bytes(signature))
            for seq, digest, at, name, signature in rows
        ]
    except (TypeError, ValueError) as error:
        raise BentError(
            rows[0][0], "its checkpoint in the database cannot be read", "checkpoint"
        ) from error


def _told(seq: int, at_us: int, body: bytes) -> str:
    """Return what the entry of an accepted loss says."""
    try:
        data = orjson.loads(body)
        kept, lost, reason = data["kept_through"], data["lost_through"], data["reason"]
        when = from_us(at_us).isoformat(timespec="seconds")
    except (ValueError, TypeError, KeyError, OverflowError):
        return f"Entry {seq} tells of a loss, and cannot be read."
    return (
        f"An end was lost: the ledger once went on after entry {kept} to entry {lost}, which is "
        f"gone. Accepted in entry {seq} ({when}), when {seq - 1 - kept} entries after {kept} were "
        f"there that nothing had signed: {reason}"
    )


def _outside(file: CheckpointFile, size: int, given: Checkpoint | None) -> Iterator[Mark]:
    """Yield the checkpoints kept outside the database, lowest entry first."""
    marks = [] if given is None else [Mark(given, "given")]
    return merge(_of_file(file, size), marks, key=lambda mark: mark.checkpoint.seq)


def _of_file(file: CheckpointFile, size: int) -> Iterator[Mark]:
    before = 0
    for number, line in enumerate(file.lines(size), 1):
        try:
            checkpoint = Checkpoint.from_json(line)
        except ValueError as error:
            raise BentError(
                before + 1,
                f"line {number} of checkpoints.jsonl, which may cover it, is damaged",
                "checkpoint",
            ) from error
        if checkpoint.seq < before:
            raise BentError(
                checkpoint.seq,
                f"line {number} of checkpoints.jsonl is out of its order",
                "checkpoint",
            )
        before = checkpoint.seq
        yield Mark(checkpoint, "file")
