"""A database restored from a backup: signing stops, the loss is accepted, and stays to be seen."""

import pytest
from sqlalchemy import text, update

from access.ledger.checkpoints import Checkpoint, CheckpointFile
from access.ledger.losses import enter_loss, find_loss, set_aside
from access.ledger.models import LedgerCheckpoint, LedgerEntry, LedgerHead
from access.ledger.signing import LedgerBentError
from core.errors import ConflictError
from tests.access.ledger.conftest import Book

pytestmark = pytest.mark.faults


async def _restore(book: Book, seq: int) -> None:
    """Make the database what a backup taken after entry `seq` had in it."""
    async with book.database.transaction() as session:
        if session.get_bind().dialect.name == "postgresql":
            for table in ("ledger_entry", "ledger_checkpoint"):
                await session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
        else:
            for table in ("ledger_entry", "ledger_checkpoint"):
                for word in ("update", "delete"):
                    await session.execute(text(f"DROP TRIGGER {table}_no_{word}"))
        for model in (LedgerEntry, LedgerCheckpoint):
            await session.execute(model.__table__.delete().where(model.__table__.c.seq > seq))  # type: ignore[attr-defined]
        last = await session.get_one(LedgerEntry, seq) if seq else None
        if last is None:
            await session.execute(text("DELETE FROM ledger_head"))
        else:
            await session.execute(update(LedgerHead).values(seq=last.seq, hash=last.hash))


async def _lose(book: Book) -> tuple[int, Checkpoint]:
    """Sign, back up, go on, and restore; return the backup's end and the lost checkpoint."""
    await book.write(3)
    kept = await book.signer.sign()
    await book.write(4)
    lost = await book.signer.sign()
    assert kept is not None
    assert lost is not None
    await _restore(book, kept.seq)
    return kept.seq, lost


async def _accept(book: Book, reason: str = "The disk died; backup of Sunday.") -> None:
    loss = await find_loss(book.database, book.ledger, book.directory)
    async with book.database.transaction() as session:
        await enter_loss(session, book.ledger, loss, reason)
    set_aside(book.directory, loss)


async def test_a_loss_that_is_accepted_is_signed_over_and_told_for_good(book: Book) -> None:
    kept, lost = await _lose(book)
    signer = book.restarted()
    await book.write(2)
    with pytest.raises(LedgerBentError, match="accept-loss"):
        await signer.sign()
    assert (await book.verify()).bad is not None

    await _accept(book)
    assert await signer.sign() is not None
    verdict = await book.verify()
    assert verdict.bad is None
    assert verdict.signed_through == verdict.checked == kept + 3
    assert f"after entry {kept} to entry {lost.seq}" in verdict.notes[0]
    assert "when 2 entries" in verdict.notes[0]
    assert "backup of Sunday" in verdict.notes[0]

    # What was exported before the loss goes on saying that something is gone.
    assert (await book.verify(given=lost)).bad is not None
    aside = next(book.directory.glob("checkpoints.lost-*.jsonl"))
    assert Checkpoint.from_json(aside.read_bytes().splitlines()[-1]) == lost
    await book.write(20)
    await book.restarted().sign()
    assert (await book.verify()).bad is None


async def test_a_database_that_lost_everything_goes_on_too(book: Book) -> None:
    await book.write(3)
    await book.signer.sign()
    await _restore(book, 0)
    await book.write()
    await _accept(book)
    await book.restarted().sign()
    verdict = await book.verify()
    assert verdict.bad is None
    assert "after entry 0" in verdict.notes[0]


async def test_only_a_missing_end_is_accepted(book: Book) -> None:
    await _lose(book)
    async with book.database.transaction() as session:
        await session.execute(update(LedgerEntry).where(LedgerEntry.seq == 2).values(area="x"))
    with pytest.raises(LedgerBentError, match="entry 2"):
        await find_loss(book.database, book.ledger, book.directory)


async def test_where_nothing_is_lost_nothing_is_accepted(book: Book) -> None:
    await book.write(3)
    await book.signer.sign()
    await book.write()
    with pytest.raises(ConflictError, match="Nothing is lost"):
        await find_loss(book.database, book.ledger, book.directory)


async def test_a_kill_after_the_entry_is_made_good_by_asking_again(book: Book) -> None:
    await _lose(book)
    loss = await find_loss(book.database, book.ledger, book.directory)
    async with book.database.transaction() as session:
        await enter_loss(session, book.ledger, loss, "first")
    with pytest.raises(LedgerBentError):
        await book.restarted().sign()
    await _accept(book, "second")
    await book.restarted().sign()
    verdict = await book.verify()
    assert verdict.bad is None
    assert len(verdict.notes) == 1


async def test_a_signer_that_runs_goes_on_after_the_loss_was_accepted(book: Book) -> None:
    """It has the lost checkpoint in memory; the one that accepts is another process."""
    await _lose(book)
    await book.write()
    assert await book.signer._try() != ""
    await _accept(book)
    assert await book.signer._try() == ""
    newest = CheckpointFile(book.directory).last()
    assert newest is not None
    assert (await book.verify()).signed_through == newest.seq
