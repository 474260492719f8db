"""What a database restored from a backup has lost: entered in the ledger for good, then signed on.

Only an end that is missing can be accepted: what was changed in the entries that are left is
refused. The signatures of the lost end are kept beside the file of checkpoints, and a checkpoint
of it that was exported earlier never fits again: that an end was lost cannot be undone.
"""

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from access.ledger import repository
from access.ledger.checkpoints import Checkpoint, CheckpointFile
from access.ledger.keys import LedgerKeys
from access.ledger.reading import LOSS_KIND, verify
from access.ledger.service import Ledger
from access.ledger.signing import LedgerBentError
from core.database import Database
from core.durable import sync_folder
from core.errors import ConflictError

_NEVER = 0
"""A present before every entry: a ledger that lost everything has no signature left to ask for."""


@dataclass(frozen=True, slots=True)
class Loss:
    """An end that was signed once and is not in the database.

    Attributes:
        kept_through: the newest entry that is as the file of checkpoints says; 0 for none.
        kept_bytes: length of the file up to the checkpoint of that entry.
        lost: the newest checkpoint of the file, whose entry is gone.
    """

    kept_through: int
    kept_bytes: int
    lost: Checkpoint


async def find_loss(database: Database, ledger: Ledger, directory: Path) -> Loss:
    """Return what the database has lost, after having checked all that is left.

    Raises:
        ConflictError: nothing is lost.
        LedgerBentError: what is left was changed too.
        OSError: the file of checkpoints cannot be read.
    """
    file = CheckpointFile(directory)
    size = await asyncio.to_thread(file.size)
    kept, kept_bytes, position, lost = 0, 0, 0, None
    async with database.read() as session:
        for line, checkpoint in _lines(file, size):
            position += len(line)
            if await _fits(session, checkpoint):
                kept, kept_bytes, lost = checkpoint.seq, position, None
            else:
                lost = checkpoint
    if lost is None:
        raise ConflictError(
            "Nothing is lost: every entry that checkpoints.jsonl covers is there.",
            remedy="`camera-hub ledger verify` says whether anything else is wrong.",
        )
    roots = await asyncio.to_thread(LedgerKeys(ledger.keys_dir).public)
    verdict = await verify(database, directory, roots, now_us=_NEVER, size=kept_bytes)
    if verdict.bad is not None:
        raise LedgerBentError(
            f"More than the end is wrong: entry {verdict.bad.seq} {verdict.bad.problem}.",
            remedy="Only a missing end can be accepted. Find out who wrote to the database, and "
            "restore it from your backup.",
        )
    return Loss(kept, kept_bytes, lost)


async def enter_loss(session: AsyncSession, ledger: Ledger, loss: Loss, reason: str) -> None:
    """Write the entry of `loss`; the caller commits, then calls `set_aside`."""
    newest = await repository.newest_of_kind(session, LOSS_KIND)
    data: dict[str, str | int] = {
        "kept_through": loss.kept_through,
        "lost_through": loss.lost.seq,
        "lost_hash": loss.lost.hash.hex(),
        "lost_at_us": loss.lost.at_us,
        "reason": reason,
    }
    # Killed after the commit: it is in the ledger already.
    if newest is not None and json.loads(newest.body)["lost_hash"] == data["lost_hash"]:
        return
    await ledger.append(session, LOSS_KIND, actor=None, data=data)


def set_aside(directory: Path, loss: Loss) -> Path:
    """Go on with a file of what is left; return where the whole one is kept.

    A kill leaves either the whole file or the new one in its place.
    """
    path = CheckpointFile(directory).path
    aside = path.with_name(f"checkpoints.lost-{loss.lost.seq}-{loss.lost.hash.hex()[:12]}.jsonl")
    fresh = path.with_suffix(".new")
    with path.open("rb") as whole, fresh.open("wb") as file:
        os.fchmod(file.fileno(), 0o600)
        left = loss.kept_bytes
        while left and (block := whole.read(min(left, 1 << 20))):
            file.write(block)
            left -= len(block)
        file.flush()
        os.fsync(file.fileno())
    if not aside.exists():
        os.link(path, aside)
    fresh.replace(path)
    sync_folder(directory)
    return aside


def _lines(file: CheckpointFile, size: int) -> Iterator[tuple[bytes, Checkpoint]]:
    for line in file.lines(size):
        try:
            yield line, Checkpoint.from_json(line)
        except ValueError as error:
            raise LedgerBentError(
                f"A line of {file.path} is no checkpoint.",
                remedy="Restore the file from your backup.",
            ) from error


async def _fits(session: AsyncSession, checkpoint: Checkpoint) -> bool:
    return await repository.hash_of(session, checkpoint.seq) == checkpoint.hash
