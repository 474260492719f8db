"""Entries, keys, checkpoints: what is written, what is signed, what is refused."""

import asyncio
import os
import stat

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from access.ledger.checkpoints import CheckpointFile
from access.ledger.keys import LedgerKeyError, LedgerKeys
from access.ledger.models import LedgerCheckpoint, LedgerEntry
from access.ledger.repository import head, raw_after
from access.ledger.service import NewEntry, encode_body
from access.ledger.signing import LedgerBentError
from access.policy.types import Actor
from core.errors import ConflictError
from core.ids import new_id
from tests.access.ledger.conftest import Book


async def test_what_is_written_is_signed_and_verifies(book: Book) -> None:
    """Entries in several rounds give one chain under one key, inside and outside the database."""
    await book.signer.sign()
    for _ in range(3):
        last = await book.write(4)
        signed = await book.signer.sign()
        assert signed is not None
        assert signed.seq == last
    verdict = await book.verify()
    assert verdict.to_json() == {
        "state": "good",
        "checked": 13,
        "total": 13,
        "bad": None,
        "signed_through": 13,
        "unsigned": 0,
        "notes": [],
    }
    file = CheckpointFile(book.directory)
    assert len(list(file.lines(file.size()))) == 4


async def test_an_entry_is_there_only_with_its_fact(book: Book) -> None:
    """A transaction that is rolled back leaves no entry and no gap."""
    await book.write()

    async def fail() -> None:
        async with book.database.transaction() as session:
            await book.ledger.append(session, "view.opened", actor=None, data={})
            raise RuntimeError("the fact did not happen")

    with pytest.raises(RuntimeError, match="did not happen"):
        await fail()
    assert await book.write() == 2
    await book.signer.sign()
    assert (await book.verify()).bad is None


async def test_several_entries_in_one_transaction_follow_each_other(book: Book) -> None:
    """Appending twice before the commit chains the second to the first."""
    async with book.database.transaction() as session:
        first = await book.ledger.append(session, "grant.given", actor=None, data={})
        second = await book.ledger.append(session, "grant.withdrawn", actor=None, data={})
    assert (first, second) == (1, 2)
    await book.signer.sign()
    assert (await book.verify()).checked == 3


async def test_entries_appended_together_are_those_appended_one_by_one(book: Book) -> None:
    """Numbers, columns and hashes are the same; the chain goes on from them."""
    await book.write(2)
    actor = Actor(kind="account", id=new_id(), name="duty")
    entries = [
        NewEntry("alarm.opened", None, {"household_id": "h1"}, "county/小区", "i1"),
        NewEntry("alarm.answered", actor, {"household_id": "h2", "n": 2}, "", "i2"),
        NewEntry("alarm.opened", None, {}, "a", "i1"),
    ]
    found = []

    async def write(session: AsyncSession, *, together: bool) -> None:
        if together:
            last = await book.ledger.append_all(session, entries)
        else:
            for entry in entries:
                last = await book.ledger.append(
                    session, entry.kind, actor=entry.actor, area=entry.area,
                    subject=entry.subject, data=entry.data,
                )  # fmt: skip
        found.append((last, await raw_after(session, 2, 10), await head(session)))
        raise RuntimeError("the fact did not happen")

    for together in (False, True):
        with pytest.raises(RuntimeError, match="did not happen"):
            async with book.database.transaction() as session:
                await write(session, together=together)
    assert found[0] == found[1]
    assert found[0][0] == 5
    async with book.database.transaction() as session:
        await book.ledger.append_all(session, entries)
    await book.write()
    await book.signer.sign()
    verdict = await book.verify()
    assert (verdict.bad, verdict.checked) == (None, 7)


async def test_of_entries_that_belong_together_none_is_written_if_one_is_wrong(
    book: Book,
) -> None:
    """What may not be entered is found before the first is written."""
    async with book.database.transaction() as session:
        for wrong in ([NewEntry("view.opened", None, {}), NewEntry("Bad", None, {})], []):
            with pytest.raises(ValueError, match=r"no kind|nothing"):
                await book.ledger.append_all(session, wrong)
    async with book.database.read() as session:
        assert (await head(session))[0] == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_entry SET body = '{}'",
        "DELETE FROM ledger_entry",
        "DELETE FROM ledger_checkpoint",
        "UPDATE ledger_checkpoint SET at = 0",
        "TRUNCATE ledger_entry",
    ],
)
async def test_the_store_refuses_to_change_the_ledger(book: Book, statement: str) -> None:
    """Triggers stop the hand that slips; the chain finds the one that drops them."""
    await book.write()
    await book.signer.sign()
    with pytest.raises(DBAPIError):
        async with book.database.transaction() as session:
            await session.execute(text(statement))
    assert (await book.verify()).bad is None


async def test_what_waits_to_be_written_is_written_before_the_ledger_is_locked(book: Book) -> None:
    """A row that refers to a locked one, written later, could wait for who waits for the ledger."""
    async with book.database.transaction() as session:
        session.add(LedgerCheckpoint(seq=1, hash=b"", at=1, key_id="", signature=b""))
        await book.ledger.append(session, "view.opened", actor=None, data={})
        assert not session.new


async def test_the_mapper_refuses_to_change_an_entry(book: Book) -> None:
    """A programming mistake is stopped before it reaches the store."""
    await book.write()
    async with book.database.read() as session:
        entry = await session.get(LedgerEntry, 1)
        assert entry is not None
        entry.body = "{}"
        with pytest.raises(RuntimeError, match="append-only"):
            await session.flush()
    with pytest.raises(DBAPIError):
        async with book.database.transaction() as session:
            await session.execute(update(LedgerEntry).values(kind="x.y"))


@pytest.mark.parametrize("name", ["password", "new_password", "secret", "csrf_token", "totp_code"])
def test_no_secret_has_a_place_in_an_entry(name: str) -> None:
    """The field's name gives it away."""
    with pytest.raises(ValueError, match="no place"):
        encode_body({name: "x"})


def test_the_size_of_an_entry_is_bounded() -> None:
    """A long text is cut; many fields and nested values are a mistake of the program."""
    assert len(encode_body({"reason": "很" * 10_000})) < 7_000
    with pytest.raises(ValueError, match="at most"):
        encode_body({f"field{n}": n for n in range(25)})
    with pytest.raises(ValueError, match="scalar"):
        encode_body({"list": []})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="JSON"):
        encode_body({"number": float("nan")})


async def test_any_text_can_be_entered(book: Book) -> None:
    """What a store would refuse or change is replaced before it is hashed."""
    async with book.database.transaction() as session:
        await book.ledger.append(
            session,
            "view.opened",
            actor=None,
            area="a\x00b\ud800" + "长" * 400,
            subject="\ud83d half",
            data={"text": "\x00\ud800 '; DROP TABLE ledger_entry; --"},
        )
    await book.signer.sign()
    assert (await book.verify()).bad is None


async def test_a_clock_that_goes_back_is_no_fault(book: Book) -> None:
    """Order is by number; the time is what the clock said."""
    await book.write(2)
    book.clock.jump(-86_400)
    await book.write(2)
    await book.signer.sign()
    assert (await book.verify()).bad is None


async def test_a_new_key_is_introduced_by_the_old_and_both_verify(book: Book) -> None:
    """After rotation the old private key is gone, and what it signed still verifies."""
    await book.write(2)
    first = await book.signer.sign()
    assert first is not None
    async with book.database.transaction() as session:
        name = await book.signer.rotate(session, None, lost=False)
    book.signer.retire(name)
    await book.write(2)
    second = await book.signer.sign()
    assert second is not None
    assert second.key_id == name != first.key_id
    assert [p.stem for p in book.ledger.keys_dir.glob("*.key")] == [name]
    verdict = await book.verify()
    assert verdict.bad is None
    assert verdict.notes == []
    # With nothing but the newest public key, what the old one signed is vouched for by the new.
    (book.ledger.keys_dir / f"{first.key_id}.pub").unlink()
    assert (await book.verify()).bad is None


async def test_a_lost_key_says_what_to_do(book: Book) -> None:
    """Nothing is signed any more, entries go on, and a new key says that the chain broke."""
    await book.write()
    signed = await book.signer.sign()
    assert signed is not None
    (book.ledger.keys_dir / f"{signed.key_id}.key").unlink()
    await book.write()
    with pytest.raises(LedgerKeyError) as told:
        await book.signer.sign()
    assert "keys rotate --lost" in told.value.remedy
    with pytest.raises(LedgerKeyError):
        async with book.database.transaction() as session:
            await book.signer.rotate(session, None, lost=False)
    async with book.database.transaction() as session:
        await book.signer.rotate(session, None, lost=True)
    await book.signer.sign()
    verdict = await book.verify()
    assert verdict.bad is None
    assert "broken" in verdict.notes[0]


async def test_a_key_that_is_there_is_not_lost(book: Book) -> None:
    """Nobody breaks the chain of keys by mistake."""
    await book.signer.sign()
    with pytest.raises(ConflictError):
        async with book.database.transaction() as session:
            await book.signer.rotate(session, None, lost=True)


async def test_keys_are_for_this_account_alone(book: Book) -> None:
    """The private file is 0600 whatever the umask."""
    before = os.umask(0)
    try:
        await book.signer.sign()
    finally:
        os.umask(before)
    (private,) = book.ledger.keys_dir.glob("*.key")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert LedgerKeys(book.ledger.keys_dir).load(private.stem)


async def test_what_was_bent_is_never_signed(book: Book) -> None:
    """Whoever writes to the database between two signatures gets none for it."""
    await book.write(3)
    await book.signer.sign()
    await book.write(3)
    async with book.database.transaction() as session:
        await _without_triggers(session)
        await session.execute(text("UPDATE ledger_entry SET body = '{}' WHERE seq = 6"))
    for signer in (book.signer, book.restarted()):
        with pytest.raises(LedgerBentError, match="entry 6"):
            await signer.sign()


@pytest.mark.faults
async def test_entries_go_on_while_checkpoints_cannot_be_written(book: Book) -> None:
    """A file that cannot be written is told once, and caught up with when it can be again."""
    told: list[str] = []
    reported = asyncio.Event()

    async def report(trouble: str) -> None:
        told.append(trouble)
        reported.set()

    await book.write()
    file = book.directory / "checkpoints.jsonl"
    file.mkdir(parents=True)  # so that even root cannot write to it
    loop = asyncio.create_task(book.signer.run(report))
    try:
        await asyncio.wait_for(reported.wait(), 10)
        reported.clear()
        last = await book.write(3)
        file.rmdir()
        await asyncio.wait_for(reported.wait(), 10)
    finally:
        loop.cancel()
    assert "cannot be written" in told[0]
    assert told[1:] == [""]
    kept = CheckpointFile(book.directory).last()
    assert kept is not None
    assert kept.seq >= last
    assert (await book.verify()).bad is None


@pytest.mark.faults
async def test_a_line_cut_short_by_a_kill_is_no_damage(book: Book) -> None:
    """Half a line at the end does not count, and the next checkpoint takes its place."""
    await book.write()
    await book.signer.sign()
    with (book.directory / "checkpoints.jsonl").open("ab") as file:
        file.write(b'{"seq":9,"ha')
    assert (await book.verify()).bad is None
    await book.write()
    await book.restarted().sign()
    verdict = await book.verify()
    assert verdict.bad is None
    assert verdict.signed_through == verdict.checked


@pytest.mark.faults
async def test_a_kill_between_database_and_file_is_made_good(book: Book) -> None:
    """The file gets what it lacks at the next start."""
    await book.write()
    await book.signer.sign()
    (book.directory / "checkpoints.jsonl").unlink()
    await book.restarted().sign()
    assert CheckpointFile(book.directory).last() is not None
    assert (await book.verify()).bad is None


async def _without_triggers(session: AsyncSession) -> None:
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(text("ALTER TABLE ledger_entry DISABLE TRIGGER ALL"))
    else:
        await session.execute(text("DROP TRIGGER ledger_entry_no_update"))
