"""How long it takes to verify a ledger of 10 million entries, beside the plain way of doing it.

Ten million entries are made for real in a temporary SQLite file, with the product's own table and
indexes, a body of ordinary length and a signed checkpoint every 2,000 entries, in the database and
in `checkpoints.jsonl`. Then `access.ledger.reading.verify` checks all of it in one process:

- `ledger_verify_s_10m`: seconds for all entries and all signatures.
- `ledger_verify_cpu_s_10m`: CPU seconds of it; on a busy machine the figure to compare.
- `ledger_verify_rss_mb`: the most memory of that process.
- `orm_verify_s_10m`: the same chain through SQLAlchemy's ORM, an object a row, without signatures,
  measured on 200,000 entries and scaled. No camera software that we know of keeps such a chain, so
  this is the peer: the way it is written first.
- `times_faster_than_orm`: the ratio.

Run by itself: `python -m bench.access.ledger`. Needs 5 GB in the temporary directory.
"""

import asyncio
import json
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session
from sqlalchemy.schema import CreateIndex

from access.ledger import keys
from access.ledger.chain import GENESIS, entry_hash
from access.ledger.checkpoints import Checkpoint, CheckpointFile
from access.ledger.models import LedgerEntry
from access.ledger.reading import verify
from core.database import Base, Database

ENTRIES = 10_000_000
CHECKPOINT_EVERY = 2_000
ORM_ENTRIES = 200_000
TABLES = ("ledger_entry", "ledger_head", "ledger_checkpoint")
_START_US = 1_767_225_600_000_000
_BATCH = 20_000

Row = tuple[Any, ...]


def say(text: str) -> None:
    """Tell the person who waits."""
    print(text, file=sys.stderr)


def entries(count: int) -> Iterator[tuple[Row, bytes]]:
    """Yield rows as the product writes them for viewings, each with its hash."""
    previous = GENESIS
    for seq in range(1, count + 1):
        camera = f"01926f3e-7a10-7c3e-9a55-{seq % 500:012x}"
        actor = f"01926f3e-0000-7000-8000-{seq % 97:012x}"
        body = (
            '{"grant_id":null,"incident_id":null,"kind":"live","purpose":"","redacted":false,'
            f'"reference":"","view_id":"01926f40-0000-7000-8000-{seq:012x}"}}'
        )
        texts = ("view.opened", "county/town/garden", "account", actor, camera, body)
        at_us = _START_US + seq * 1_000
        previous = entry_hash(previous, seq, at_us, texts)
        yield (seq, at_us, *texts, previous), previous


def make(path: Path, directory: Path, private: Ed25519PrivateKey) -> None:
    """Write the ledger's file and its checkpoints."""
    name = keys.key_id(private.public_key())
    entry = Base.metadata.tables["ledger_entry"]
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        Base.metadata.create_all(
            connection,
            tables=[Base.metadata.tables[name] for name in TABLES],
        )
        for index in entry.indexes:  # made anew below, in one go
            index.drop(connection)
    marks: list[Checkpoint] = []

    def batches() -> Iterator[list[Row]]:
        batch: list[Row] = []
        for row, digest in entries(ENTRIES):
            batch.append(row)
            seq = row[0]
            if seq % CHECKPOINT_EVERY == 0 or seq == ENTRIES:
                marks.append(Checkpoint(seq, digest, row[1], name).signed(private))
            if len(batch) == _BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("PRAGMA journal_mode=OFF")
        raw.execute("PRAGMA synchronous=OFF")
        raw.execute("BEGIN")
        for batch in batches():
            raw.executemany("INSERT INTO ledger_entry VALUES (?,?,?,?,?,?,?,?,?)", batch)
        raw.executemany(
            "INSERT INTO ledger_checkpoint VALUES (?,?,?,?,?)",
            [(m.seq, m.hash, m.at_us, m.key_id, m.signature) for m in marks],
        )
        raw.execute("INSERT INTO ledger_head VALUES (1, ?, ?)", (ENTRIES, marks[-1].hash))
        for index in entry.indexes:
            raw.execute(str(CreateIndex(index)))
        raw.execute("COMMIT")
        raw.execute("PRAGMA journal_mode=WAL")  # as the hub leaves it
    CheckpointFile(directory).append(marks)


def by_orm(path: Path) -> float:
    """Return the seconds that the plain way takes for all entries, scaled from a part of them."""
    engine = create_engine(f"sqlite:///{path}")
    begun = time.perf_counter()
    previous = GENESIS
    with Session(engine) as session:
        query = select(LedgerEntry).where(LedgerEntry.seq <= ORM_ENTRIES).order_by(LedgerEntry.seq)
        for row in session.scalars(query.execution_options(yield_per=1_000)):
            texts = (row.kind, row.area, row.actor_kind, row.actor_id, row.subject, row.body)
            previous = entry_hash(previous, row.seq, row.at, texts)
            if previous != row.hash:
                raise RuntimeError(f"entry {row.seq} is bad")
    return (time.perf_counter() - begun) * ENTRIES / ORM_ENTRIES


async def measured(path: Path, directory: Path, private: Ed25519PrivateKey) -> tuple[float, float]:
    """Return the seconds, and those of CPU, that the product takes for all entries."""
    public = private.public_key()
    database = Database(f"sqlite+aiosqlite:///{path}")
    begun, used = time.perf_counter(), time.process_time()
    verdict = await verify(
        database,
        directory,
        {keys.key_id(public): public},
        now_us=_START_US + 10**15,
    )
    seconds, cpu_s = time.perf_counter() - begun, time.process_time() - used
    await database.close()
    if verdict.bad or verdict.checked != ENTRIES or verdict.signed_through != ENTRIES:
        raise RuntimeError(f"the ledger made here does not verify: {verdict}")
    return seconds, cpu_s


def run(*, long: bool = False) -> dict[str, Any]:  # noqa: ARG001  # always the full length
    """Make the entries, verify them, and return the figures."""
    private = Ed25519PrivateKey.generate()
    with tempfile.TemporaryDirectory(prefix="camera-hub-bench-ledger-") as folder:
        directory = Path(folder)
        path = directory / "hub.db"
        begun = time.perf_counter()
        make(path, directory, private)
        say(f"{ENTRIES:,} entries made in {time.perf_counter() - begun:.0f} s")
        size_gb = path.stat().st_size / 1e9
        seconds, cpu_s = asyncio.run(measured(path, directory, private))
        rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        say(f"verified in {seconds:.1f} s")
        orm_s = by_orm(path)
    return {
        "ledger_verify_s_10m": round(seconds, 1),
        "ledger_verify_cpu_s_10m": round(cpu_s, 1),
        "ledger_entries": ENTRIES,
        "ledger_checkpoints": ENTRIES // CHECKPOINT_EVERY,
        "ledger_file_gb": round(size_gb, 2),
        "ledger_verify_rss_mb": round(rss_mb),
        "orm_verify_s_10m": round(orm_s, 1),
        "times_faster_than_orm": round(orm_s / seconds, 1),
    }


if __name__ == "__main__":
    print(json.dumps(run()))
