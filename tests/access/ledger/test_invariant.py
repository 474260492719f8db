"""Invariant 6: the ledger does not forget. Whoever owns the database, but no key, is found out."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from access.ledger.chain import GENESIS, entry_hash
from access.ledger.checkpoints import Checkpoint
from access.ledger.keys import LedgerKeys
from access.ledger.reading import verify
from access.ledger.service import Ledger
from access.ledger.signing import Signer
from access.ledger.times import to_us
from access.ledger.verifying import Verdict
from core.clock import ManualClock
from core.database import Database
from tests.access.ledger.conftest import Book
from tests.support.examples import examples

COLUMNS = ("at", "kind", "area", "actor_kind", "actor_id", "subject", "body", "hash")
TEXTS = COLUMNS[1:7]
TRIGGERS = [
    f"{table}_no_{word}"
    for table in ("ledger_entry", "ledger_checkpoint")
    for word in ("update", "delete")
]
LENGTH = 24

Edit = Callable[[sqlite3.Connection], object]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    """A directory with a signed ledger in a real SQLite file, checkpoints every few entries."""
    home = tmp_path_factory.mktemp("ledger")
    shutil.copyfile(sqlite_template, home / "hub.db")

    async def write() -> None:
        clock = ManualClock()
        database = Database(f"sqlite+aiosqlite:///{home}/hub.db")
        ledger = Ledger(clock, home / "keys")
        book = Book(database, clock, home, ledger, Signer(database, clock, ledger, home))
        await book.signer.sign()
        while (last := await book.write(4, "开门")) < LENGTH:
            await book.signer.sign()
        await book.signer.sign()
        assert last == LENGTH + 1
        await database.close()

    asyncio.run(write())
    with closing(sqlite3.connect(home / "hub.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return home


def verdict_after(
    written: Path, edit: Edit, tmp_path: Path, given: Checkpoint | None = None
) -> Verdict:
    """Edit a copy of the file with sqlite3, triggers dropped, and verify it."""
    copy = tmp_path / f"edited-{random.randrange(10**12)}.db"  # a file name
    shutil.copyfile(written / "hub.db", copy)
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        for name in TRIGGERS:
            connection.execute(f"DROP TRIGGER {name}")
        edit(connection)

    async def check() -> Verdict:
        database = Database(f"sqlite+aiosqlite:///{copy}")
        try:
            return await verify(
                database,
                written,
                LedgerKeys(written / "keys").public(),
                now_us=to_us(ManualClock().now()) + 10**12,
                given=given,
            )
        finally:
            await database.close()

    verdict = asyncio.run(check())
    copy.unlink()
    return verdict


def rechain(connection: sqlite3.Connection, after: int = 0) -> None:
    """Compute the chain anew after entry `after`, as somebody does who has read the source."""
    previous = GENESIS
    if after:
        (previous,) = connection.execute(
            "SELECT hash FROM ledger_entry WHERE seq = ?", (after,)
        ).fetchone()
    rows = connection.execute(
        f"SELECT seq, {', '.join(COLUMNS[:-1])} FROM ledger_entry WHERE seq > ? ORDER BY seq",
        (after,),
    ).fetchall()
    seq = after
    for old, at, *texts in rows:
        seq += 1
        previous = entry_hash(previous, seq, at, tuple(texts))
        connection.execute(
            "UPDATE ledger_entry SET seq = ?, hash = ? WHERE seq = ?", (seq, previous, old)
        )
    connection.execute("UPDATE ledger_head SET seq = ?, hash = ?", (seq, previous))


def flip(column: str, seq: int, bit: int) -> Edit:
    """Return an edit that changes one bit of one column of one entry."""

    def edit(connection: sqlite3.Connection) -> None:
        connection.text_factory = bytes
        (value,) = connection.execute(
            f"SELECT {column} FROM ledger_entry WHERE seq = ?", (seq,)
        ).fetchone()
        if isinstance(value, int):
            new: object = value ^ (1 << (bit % 62))
        elif not value:
            new = "x"
        else:
            changed = bytearray(value)
            changed[bit // 8 % len(changed)] ^= 1 << (bit % 8)
            new = bytes(changed)
        kind = "BLOB" if column == "hash" or isinstance(new, int) else "TEXT"
        connection.execute(
            f"UPDATE ledger_entry SET {column} = "
            + ("?" if isinstance(new, int) else f"CAST(? AS {kind})")
            + " WHERE seq = ?",
            (new, seq),
        )

    return edit


def test_the_ledger_does_not_forget(written: Path, tmp_path: Path) -> None:
    """Untouched it is good; each edit is found, and the first bad entry is named."""
    untouched = verdict_after(written, lambda _c: None, tmp_path)
    assert untouched.bad is None
    assert untouched.checked == untouched.signed_through == LENGTH + 1
    for number, column in enumerate(COLUMNS):
        seq = 3 + number
        found = verdict_after(written, flip(column, seq, 5 + number), tmp_path)
        assert found.bad is not None, column
        assert found.bad.seq == seq, column


def _swap(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE ledger_entry SET seq = -1 WHERE seq = 7")
    connection.execute("UPDATE ledger_entry SET seq = 7 WHERE seq = 8")
    connection.execute("UPDATE ledger_entry SET seq = 8 WHERE seq = -1")


def _cut(connection: sqlite3.Connection, *, tidy: bool) -> None:
    connection.execute("DELETE FROM ledger_entry WHERE seq > 15")
    if tidy:
        connection.execute("DELETE FROM ledger_checkpoint WHERE seq > 15")
        connection.execute(
            "UPDATE ledger_head SET seq = 15, hash = (SELECT hash FROM ledger_entry WHERE seq = 15)"
        )


def _forge_tail(connection: sqlite3.Connection) -> None:
    """Cut the end off and write another one that fits the chain."""
    _cut(connection, tidy=True)
    for seq in range(16, LENGTH + 2):
        connection.execute(
            "INSERT INTO ledger_entry VALUES (?, 1, 'view.opened', '', '', '', '', '{}', x'00')",
            (seq,),
        )
    rechain(connection, 15)


def _whitewash(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM ledger_entry WHERE seq = 9")
    rechain(connection)
    connection.execute("DELETE FROM ledger_checkpoint")


def _insert(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE ledger_entry SET seq = -seq WHERE seq > 9")
    connection.execute("UPDATE ledger_entry SET seq = 1 - seq WHERE seq < 0")
    connection.execute(
        "INSERT INTO ledger_entry VALUES (10, 1, 'grant.given', '', '', '', '', '{}', x'00')"
    )
    rechain(connection)


def _foreign_key(connection: sqlite3.Connection) -> None:
    """Put an own key into the first entry, chain everything anew and sign it."""
    import json
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        private = LedgerKeys(Path(directory)).create()
    from access.ledger import keys

    public = private.public_key()
    body = {
        "broken": False,
        "introduced_by": "",
        "key_id": keys.key_id(public),
        "previous_key_id": "",
        "public_key": keys.to_text(public),
    }
    connection.execute("UPDATE ledger_entry SET body = ? WHERE seq = 1", (json.dumps(body),))
    rechain(connection)
    rows = connection.execute(
        "SELECT c.seq, e.hash FROM ledger_checkpoint c JOIN ledger_entry e USING (seq)"
    ).fetchall()
    for seq, digest in rows:
        forged = Checkpoint(seq, digest, 1, keys.key_id(public)).signed(private)
        connection.execute(
            "UPDATE ledger_checkpoint SET hash = ?, at = 1, key_id = ?, signature = ? "
            "WHERE seq = ?",
            (digest, forged.key_id, forged.signature, seq),
        )


EDITS: dict[str, tuple[Edit, int]] = {
    "an entry deleted": (lambda c: c.execute("DELETE FROM ledger_entry WHERE seq = 9"), 9),
    "the first deleted": (lambda c: c.execute("DELETE FROM ledger_entry WHERE seq = 1"), 1),
    "two swapped": (_swap, 7),
    "the end cut off": (lambda c: _cut(c, tidy=False), 16),
    "the end cut off tidily": (lambda c: _cut(c, tidy=True), 16),
    "another end": (_forge_tail, 17),
    "one put in": (_insert, 13),
    "the whole chain anew": (_whitewash, 1),
    "checkpoints emptied": (lambda c: c.execute("DELETE FROM ledger_checkpoint"), 1),
    "an own key": (_foreign_key, 1),
    "a signature forged": (
        lambda c: c.execute("UPDATE ledger_checkpoint SET signature = zeroblob(64) WHERE seq = 13"),
        13,
    ),
    "the head moved back": (lambda c: c.execute("UPDATE ledger_head SET seq = 20"), 21),
    "the head removed": (lambda c: c.execute("DELETE FROM ledger_head"), LENGTH + 1),
    "a number no entry has": (
        lambda c: c.execute(
            "INSERT INTO ledger_entry VALUES (-5, 1, 'a.b', '', '', '', '', '{}', x'00')"
        ),
        -5,
    ),
    "a value of another type": (
        lambda c: c.execute("UPDATE ledger_entry SET at = 'yesterday' WHERE seq = 4"),
        4,
    ),
    "everything deleted": (
        lambda c: c.executescript(
            "DELETE FROM ledger_entry; DELETE FROM ledger_checkpoint; DELETE FROM ledger_head"
        ),
        1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_each_attack_names_the_first_bad_entry(written: Path, tmp_path: Path, name: str) -> None:
    """Edits with sqlite3 by somebody who has read the source and owns the database."""
    edit, first = EDITS[name]
    verdict = verdict_after(written, edit, tmp_path)
    assert verdict.bad is not None
    assert verdict.bad.seq == first, verdict.bad
    assert verdict.bad.problem


def test_a_clock_going_back_is_fine(written: Path, tmp_path: Path) -> None:
    """Only numbers order the chain; but a changed time is found."""
    verdict = verdict_after(written, flip("at", 5, 3), tmp_path)
    assert verdict.bad is not None
    assert verdict.bad.seq == 5


def test_an_exported_checkpoint_tells_of_what_all_else_has_lost(
    written: Path, tmp_path: Path
) -> None:
    """Somebody who also rewrote the file beside the database is found with a copy kept apart."""
    lines = (written / "checkpoints.jsonl").read_bytes().splitlines()
    given = Checkpoint.from_json(lines[-1])
    elsewhere = tmp_path / "bare"
    elsewhere.mkdir()
    shutil.copytree(written / "keys", elsewhere / "keys")
    shutil.copyfile(written / "hub.db", elsewhere / "hub.db")
    (elsewhere / "checkpoints.jsonl").write_bytes(b"\n".join(lines[:3]) + b"\n")
    for copy, bad in ((None, None), (given, 16)):
        verdict = verdict_after(elsewhere, lambda c: _cut(c, tidy=True), tmp_path, copy)
        assert (verdict.bad.seq if verdict.bad else None) == bad


@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.one_of(
            st.tuples(
                st.just("flip"),
                st.sampled_from(COLUMNS),
                st.integers(1, LENGTH + 1),
                st.integers(0, 2000),
            ),
            st.tuples(st.just("delete"), st.just(""), st.integers(1, LENGTH + 1), st.just(0)),
            st.tuples(st.just("swap"), st.just(""), st.integers(1, LENGTH), st.integers(1, LENGTH)),
        ),
        min_size=1,
        max_size=3,
    ),
    st.booleans(),
)
def test_no_edit_at_random_stays_unseen(
    written: Path, tmp_path: Path, edits: list[tuple[str, str, int, int]], anew: bool
) -> None:
    """Bits, rows and order changed at random, with and without chaining everything anew."""
    before = _dump(written / "hub.db")

    def edit(connection: sqlite3.Connection) -> None:
        for what, column, seq, number in edits:
            there = connection.execute(
                "SELECT count(*) FROM ledger_entry WHERE seq = ?", (seq,)
            ).fetchone()[0]
            if what == "flip" and there:
                flip(column, seq, number)(connection)
            elif what == "delete":
                connection.execute("DELETE FROM ledger_entry WHERE seq = ?", (seq,))
            elif what == "swap":
                for new, old in ((-7, seq), (seq, number), (number, -7)):
                    connection.execute(
                        "UPDATE OR IGNORE ledger_entry SET seq = ? WHERE seq = ?", (new, old)
                    )
        connection.text_factory = lambda raw: raw.decode(errors="replace")
        if anew:
            rechain(connection)
        changed.append(_rows(connection) != before)

    changed: list[bool] = []
    verdict = verdict_after(written, edit, tmp_path)
    assert (verdict.bad is not None) == changed[0]


def _rows(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    connection.text_factory = bytes
    return connection.execute("SELECT * FROM ledger_entry ORDER BY seq").fetchall()


def _dump(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return _rows(connection)


@pytest.mark.parametrize(
    ("statement", "first"),
    [
        ("UPDATE ledger_entry SET area = area || 'x' WHERE seq = 5", 5),
        ("UPDATE ledger_entry SET at = at # 1 WHERE seq = 5", 5),
        ("DELETE FROM ledger_entry WHERE seq = 5", 5),
        ("DELETE FROM ledger_entry WHERE seq > 9", 10),
        ("DELETE FROM ledger_checkpoint", 5),
    ],
)
async def test_postgresql_does_not_forget_either(
    postgres_url: str, tmp_path: Path, statement: str, first: int
) -> None:
    """The same verifier over a server-side cursor."""
    clock = ManualClock()
    database = Database(postgres_url)
    ledger = Ledger(clock, tmp_path / "keys")
    book = Book(database, clock, tmp_path, ledger, Signer(database, clock, ledger, tmp_path))
    await book.write(4)
    await book.signer.sign()
    await book.write(6)
    await book.signer.sign()
    assert (await book.verify()).bad is None
    async with database.transaction() as session:
        for table in ("ledger_entry", "ledger_checkpoint"):
            await session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
        await session.execute(text(statement))
    found = (await book.verify()).bad
    assert found is not None
    assert found.seq == first
    await database.close()


WRITER = """
import asyncio, sys
from pathlib import Path
from access.ledger.service import Ledger
from core.clock import SystemClock
from core.database import Database

async def main(url, count, hold):
    database = Database(url)
    ledger = Ledger(SystemClock(), Path("/nonexistent"))
    for number in range(count):
        async with database.transaction() as session:
            await ledger.append(session, "view.opened", actor=None, data={"number": number})
            if hold:
                print("appended", flush=True)
                await asyncio.sleep(60)
    await database.close()

asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "hold"))
"""


def _writer(url: str, count: int, mode: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, url, str(count), mode], stdout=subprocess.PIPE
    )


@pytest.mark.faults
async def test_two_processes_write_one_chain(book: Book) -> None:
    """Appends of two processes at once follow each other without gap or fork, on both stores."""
    url = book.database.url.render_as_string(hide_password=False)
    writers = [_writer(url, 25, "go") for _ in range(2)]
    codes = [await asyncio.to_thread(writer.wait, 60) for writer in writers]
    assert codes == [0, 0]
    await book.signer.sign()
    verdict = await book.verify()
    assert verdict.bad is None
    assert verdict.checked == 51


@pytest.mark.faults
async def test_a_kill_between_append_and_commit_leaves_no_trace(book: Book) -> None:
    """Neither a gap nor a lock stays behind SIGKILL."""
    await book.write(2)
    url = book.database.url.render_as_string(hide_password=False)
    writer = _writer(url, 1, "hold")
    assert writer.stdout is not None
    assert await asyncio.to_thread(writer.stdout.readline) == b"appended\n"
    os.kill(writer.pid, signal.SIGKILL)
    await asyncio.to_thread(writer.wait)
    with contextlib.suppress(OSError):
        writer.stdout.close()
    assert await book.write() == 3
    await book.signer.sign()
    assert (await book.verify()).bad is None
