"""Writing to the ledger, in the transaction of the fact itself.

The lock on the head is held until the commit, so whoever appends does it last. Where the
transaction also writes the outbox, `outbox.serialise` comes before: every transaction that takes
both takes them in this order.
"""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from access.ledger import repository
from access.ledger.chain import entry_hash
from access.ledger.times import to_us
from access.policy.types import Actor
from core.clock import Clock

JsonScalar = str | int | float | bool | None

MAX_TEXT = 1000
"""Characters kept of a text in an entry's data."""
MAX_FIELDS = 24

_KIND = re.compile(r"[a-z]+(\.[a-z_]+)+")
_SECRET = re.compile(r"password|secret|token$|code$|private|credential", re.IGNORECASE)
_WAKES = "ledger_wakes"
LOCKED = "ledger_locked"
"""Set in the info of a session that holds the lock of the ledger's head."""


def encode_body(data: Mapping[str, JsonScalar]) -> str:
    """Return the JSON text of an entry's data: sorted keys, ASCII, texts cut at MAX_TEXT.

    Raises:
        ValueError: too many fields, a value that is no scalar, or a name that tells of a secret.
    """
    if len(data) > MAX_FIELDS:
        raise ValueError(f"an entry holds at most {MAX_FIELDS} fields")
    kept: dict[str, JsonScalar] = {}
    for name, value in data.items():
        if _SECRET.search(name):
            raise ValueError(f"a field called {name!r} has no place in the ledger")
        if value is not None and not isinstance(value, str | int | float | bool):
            raise ValueError(f"the field {name!r} is no JSON scalar")
        kept[name] = value[:MAX_TEXT] if isinstance(value, str) else value
    return json.dumps(kept, sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry to be appended.

    Attributes:
        kind: what happened, such as `view.opened`.
        actor: who did it; None for the hub itself and its command line.
        area: where; "" is the whole site.
        subject: id of what it happened to.
        data: scalars without secrets; texts are cut at 1,000 characters.
    """

    kind: str
    actor: Actor | None
    data: Mapping[str, JsonScalar]
    area: str = ""
    subject: str = ""

    def columns(self) -> dict[str, str]:
        """Return what is stored and hashed of it, in the order of the hash.

        Raises:
            ValueError: `kind` or `data` is not what an entry may hold.
        """
        if not _KIND.fullmatch(self.kind) or len(self.kind) > 60:
            raise ValueError(f"{self.kind!r} is no kind of entry")
        body = encode_body(self.data)
        actor = self.actor
        known = actor is not None and actor.kind != "anonymous" and actor.id is not None
        return {
            "kind": self.kind,
            "area": _storable(self.area)[:255],
            "actor_kind": actor.kind if actor is not None and known else "",
            "actor_id": str(actor.id) if actor is not None and known else "",
            "subject": _storable(self.subject)[:200],
            "body": body,
        }


class Ledger:
    """Appends entries. `written` is set after each commit of this process that appended."""

    def __init__(self, clock: Clock, keys_dir: Path) -> None:
        self._clock = clock
        self.keys_dir = keys_dir
        self.written = asyncio.Event()

    async def append(
        self,
        session: AsyncSession,
        kind: str,
        *,
        actor: Actor | None,
        area: str = "",
        subject: str = "",
        data: Mapping[str, JsonScalar],
    ) -> int:
        """Add an entry to the transaction of `session` and return its number.

        Takes a lock until the commit: append last, and after `outbox.serialise` where both are
        needed. What the session has not written yet is written before.

        Args:
            session: the session of the fact itself; both are committed or neither.
            kind: see `NewEntry`, as the other ones.
            actor: who.
            area: where.
            subject: whom or what it happened to.
            data: what else is to be said.

        Raises:
            ValueError: `kind` or `data` is not what an entry may hold.
        """
        return await self.append_all(session, [NewEntry(kind, actor, data, area, subject)])

    async def append_all(self, session: AsyncSession, entries: Sequence[NewEntry]) -> int:
        """Add at least one entry, in this order, as `append` would; return the last one's number.

        The head is locked and moved once for all of them.

        Raises:
            ValueError: one is not what an entry may hold; none is written.
        """
        if not entries:
            raise ValueError("nothing to append")
        columns = [entry.columns() for entry in entries]
        # A row that refers to a locked one waits for it: not while all wait for the ledger.
        await session.flush()
        session.info[LOCKED] = True
        seq, digest = await repository.locked_head(session)
        at_us = to_us(self._clock.now())
        rows: list[dict[str, object]] = []
        for each in columns:
            seq += 1
            digest = entry_hash(digest, seq, at_us, tuple(each.values()))
            rows.append({"seq": seq, "at": at_us, **each, "hash": digest})
        await repository.add_all(session, rows)
        if not session.info.get(_WAKES):
            session.info[_WAKES] = True
            event.listen(session.sync_session, "after_commit", self._wake, once=True)
        return seq

    def _wake(self, _session: Session) -> None:
        self.written.set()


def _storable(text: str) -> str:
    """Return `text` without what one of the stores would refuse or change."""
    return text.replace("\x00", "").encode(errors="replace").decode()
