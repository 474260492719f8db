"""Finds the first entry that is not as it was signed. Pure: rows come in, a verdict goes out.

Rows are fed in order, a batch at a time, with the signed checkpoints that fall into the batch, so
that a ledger of any length is checked in constant memory.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from access.ledger import keys
from access.ledger.chain import GENESIS, HEAD
from access.ledger.checkpoints import Checkpoint

KEY_KIND = "ledger.key"
UNSIGNED_GRACE_US = 60_000_000
"""How old the first entry of a ledger may be without any checkpoint, in microseconds."""

Fault = Literal[
    "changed",
    "inserted",
    "removed",
    "truncated",
    "resigned",
    "checkpoint",
    "key",
    "unsigned",
    "head",
]
"""The sorts of faults; the console has words of its own for each."""

RowTuple = tuple[Any, ...]
"""seq, at, kind, area, actor_kind, actor_id, subject, body, hash; the texts as UTF-8."""


@dataclass(frozen=True, slots=True)
class Bad:
    """The first thing that is wrong: at which entry, of which sort, and what in English."""

    seq: int
    problem: str
    code: Fault


class BentError(Exception):
    """Raised where the ledger stops being what was signed."""

    def __init__(self, seq: int, problem: str, code: Fault) -> None:
        super().__init__(f"entry {seq}: {problem}")
        self.bad = Bad(seq, problem, code)


class Mark(NamedTuple):
    """A checkpoint and where it was found: the database, the file beside it, or a given copy."""

    checkpoint: Checkpoint
    source: Literal["table", "file", "given"]


_WHERE = {
    "table": "in the database",
    "file": "in checkpoints.jsonl",
    "given": "in the given file",
}


@dataclass
class Verdict:
    """What was found. `signed_through` is the newest entry that a good signature covers."""

    checked: int = 0
    total: int = 0
    bad: Bad | None = None
    signed_through: int = 0
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "state": "bad" if self.bad else "good",
            "checked": self.checked,
            "total": self.total,
            "bad": asdict(self.bad) if self.bad else None,
            "signed_through": self.signed_through,
            "unsigned": max(0, self.checked - self.signed_through),
            "notes": self.notes,
        }


def follow(previous: bytes, before: int, rows: Iterable[RowTuple]) -> Iterator[tuple[int, bytes]]:
    """Recompute the chain over `rows` and yield the number and hash of each that fits.

    Args:
        previous: hash of the entry before the first row.
        before: its number.
        rows: consecutive entries.

    Raises:
        BentError: a row is missing, out of place, or not what its hash says.
    """
    sha256, pack, join = hashlib.sha256, HEAD.pack, b"".join
    expected, seq = before, before
    try:
        for seq, at, kind, area, actor_kind, actor_id, subject, body, stored in rows:
            expected += 1
            if seq != expected:
                raise _gap(expected, seq)
            head = pack(
                seq, at, len(kind), len(area), len(actor_kind), len(actor_id), len(subject),
                len(body),
            )  # fmt: skip
            previous = sha256(
                join((previous, head, kind, area, actor_kind, actor_id, subject, body))
            ).digest()
            if previous != stored:
                raise BentError(
                    seq,
                    "its content and the entry before it do not give its hash: "
                    "it was changed, moved or put in",
                    "changed",
                )
            yield seq, previous
    except (struct.error, TypeError) as error:
        raise BentError(
            seq, "holds a value that no entry can hold: it was changed", "changed"
        ) from error


def _gap(expected: int, found: int) -> BentError:
    if found < expected:
        return BentError(found, "stands where no entry can stand: it was put in", "inserted")
    return BentError(expected, "is missing: it was removed", "removed")


class KeyRing:
    """The public keys that count, and from which entry on.

    `roots` are believed because their files lie outside the database. A key that a believed one
    introduced is believed too. Any other key that the ledger names counts only for entries that a
    believed signature covers later on.
    """

    def __init__(
        self, roots: Mapping[str, Ed25519PublicKey], entries: Iterable[tuple[int, bytes]]
    ) -> None:
        """Read the key entries (number and body) of the ledger, in order."""
        self._roots = dict(roots)
        self._named: dict[str, tuple[int, Ed25519PublicKey]] = {}
        self.problem: Bad | None = None
        self.broken: list[int] = []
        for seq, body in entries:
            what = self._introduce(seq, body)
            if what and self.problem is None:
                self.problem = Bad(seq, what, "key")

    def _introduce(self, seq: int, body: bytes) -> str:
        """Take up one key entry; return what is wrong with it, or nothing."""
        try:
            data = orjson.loads(body)
            public = keys.from_text(data["public_key"])
            name, before = str(data["key_id"]), str(data["previous_key_id"])
            signature = bytes.fromhex(data["introduced_by"])
        except (ValueError, TypeError, KeyError):
            return "names a signing key that cannot be read"
        if keys.key_id(public) != name:
            return "names a signing key by the id of another"
        if data.get("broken"):
            self.broken.append(seq)
        elif before:
            older = self._roots.get(before)
            if older is None and before in self._named:
                older = self._named[before][1]
            if older is None or not keys.signed_by(older, signature, keys.introduction(public)):
                return "names a new signing key that the key before did not sign"
            if before in self._roots:
                self._roots[name] = public
        self._named[name] = (seq, public)
        return ""

    def check(self, checkpoint: Checkpoint) -> tuple[str, int]:
        """Return what is wrong with a signature (or nothing), and the entry that named its key.

        That entry is 0 for a key that is believed anyway.
        """
        public, named_at = self._roots.get(checkpoint.key_id), 0
        if public is None and checkpoint.key_id in self._named:
            named_at, public = self._named[checkpoint.key_id]
        if public is None:
            return f"is signed with the foreign key {checkpoint.key_id}", 0
        return ("" if checkpoint.holds(public) else "has a forged signature"), named_at


class Verifier:
    """Checks a whole ledger: feed batches in order, then `finish`."""

    def __init__(self, ring: KeyRing, outside: Iterator[Mark], total: int) -> None:
        """`outside` yields the checkpoints kept outside the database, lowest entry first."""
        self._ring = ring
        self._outside = outside
        self._next: Mark | None = next(outside, None)
        self._previous = GENESIS
        self._newest_root = 0
        self._doubtful: tuple[int, str] | None = None
        self._first_at: int | None = None
        self.verdict = Verdict(total=total)

    @property
    def seq(self) -> int:
        """Number of the last entry that was found good."""
        return self.verdict.checked

    def feed(self, rows: Sequence[RowTuple], table: Sequence[Checkpoint]) -> None:
        """Check a batch of entries and the checkpoints of the database that fall into it.

        Raises:
            BentError: the first thing that is wrong, if it lies in this batch.
        """
        if not rows:
            return
        if self._first_at is None and isinstance(rows[0][1], int):
            self._first_at = rows[0][1]
        marks = self._marks_until(rows[-1][0], table)
        due = min(marks, default=0)
        for seq, digest in follow(self._previous, self.verdict.checked, rows):
            self.verdict.checked, self._previous = seq, digest
            problem = self._ring.problem
            if problem is not None and problem.seq == seq:
                raise BentError(seq, problem.problem, problem.code)
            if seq == due:
                self._check_marks(seq, digest, marks.pop(seq))
                due = min(marks, default=0)

    def _marks_until(self, seq: int, table: Sequence[Checkpoint]) -> dict[int, list[Mark]]:
        found: dict[int, list[Mark]] = {}
        for checkpoint in table:
            found.setdefault(checkpoint.seq, []).append(Mark(checkpoint, "table"))
        while self._next is not None and self._next.checkpoint.seq <= seq:
            found.setdefault(self._next.checkpoint.seq, []).append(self._next)
            self._next = next(self._outside, None)
        return found

    def _check_marks(self, seq: int, digest: bytes, marks: Sequence[Mark]) -> None:
        for checkpoint, source in marks:
            where = _WHERE[source]
            problem, named_at = self._ring.check(checkpoint)
            if problem:
                raise BentError(seq, f"its checkpoint {where} {problem}", "checkpoint")
            if checkpoint.hash != digest:
                raise BentError(
                    seq,
                    f"is not the entry that was signed {where}: "
                    "it or one before it was changed and chained anew",
                    "resigned",
                )
            if named_at:
                self._doubtful = (named_at, checkpoint.key_id)
            else:
                self._newest_root = seq
            self.verdict.signed_through = seq
        sources = {mark.source for mark in marks}
        if "file" in sources and "table" not in sources:
            raise BentError(
                seq, "its signed checkpoint was removed from the database", "checkpoint"
            )

    def finish(
        self, head: tuple[int, bytes] | None, beyond: Iterable[Checkpoint], now_us: int
    ) -> Verdict:
        """Check the end and return the verdict.

        Args:
            head: the row of `ledger_head`; None if it is gone.
            beyond: checkpoints of the database for entries after the last one.
            now_us: the present, in microseconds since 1970-01-01 UTC.

        Raises:
            BentError: the end is missing, or nothing is signed.
        """
        last = self.verdict.checked
        marks = [Mark(checkpoint, "table") for checkpoint in beyond]
        if self._next is not None:
            marks += [self._next, *self._outside]
        for checkpoint, source in marks:
            problem, _ = self._ring.check(checkpoint)
            if problem:
                raise BentError(
                    checkpoint.seq, f"its checkpoint {_WHERE[source]} {problem}", "checkpoint"
                )
            raise BentError(
                last + 1,
                f"is missing: the end was cut off; a checkpoint {_WHERE[source]} covers "
                f"everything up to entry {checkpoint.seq}",
                "truncated",
            )
        self._check_head(head, last)
        if self._doubtful is not None and self._doubtful[0] > self._newest_root:
            raise BentError(
                self._doubtful[0],
                f"names the signing key {self._doubtful[1]}, which nothing outside the database "
                "vouches for",
                "key",
            )
        old = self._first_at is not None and now_us - self._first_at > UNSIGNED_GRACE_US
        if last and not self.verdict.signed_through and old:
            raise BentError(
                1, "no checkpoint covers it: the signatures were removed, or none made", "unsigned"
            )
        self.verdict.notes += [
            f"The chain of keys was broken at entry {seq}: the key before was lost. What it "
            "signed is checked; that the new key is yours, its .pub file says."
            for seq in self._ring.broken
        ]
        return self.verdict

    def _check_head(self, head: tuple[int, bytes] | None, last: int) -> None:
        if head is None:
            if last:
                raise BentError(last, "the row of ledger_head, which names it, was removed", "head")
            return
        seq, digest = head
        if seq > last:
            raise BentError(
                last + 1, f"is missing: the end was cut off; the head says {seq}", "truncated"
            )
        if seq < last:
            raise BentError(seq + 1, "stands behind the head: it was put in", "inserted")
        if digest != self._previous:
            raise BentError(seq, "the head names another hash than this entry has", "head")
