"""A ledger on a real store, signed as the hub signs it."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from access.ledger.checkpoints import Checkpoint
from access.ledger.keys import LedgerKeys
from access.ledger.reading import verify
from access.ledger.service import Ledger
from access.ledger.signing import Signer
from access.ledger.times import to_us
from access.ledger.verifying import Verdict
from core.clock import ManualClock
from core.database import Database


@dataclass
class Book:
    """Ledger, signer and directory of one node."""

    database: Database
    clock: ManualClock
    directory: Path
    ledger: Ledger
    signer: Signer

    async def write(self, count: int = 1, text: str = "x") -> int:
        """Append `count` entries in one transaction each; return the last number."""
        seq = 0
        for number in range(count):
            self.clock.advance(1)
            async with self.database.transaction() as session:
                seq = await self.ledger.append(
                    session,
                    "view.opened",
                    actor=None,
                    area="county/小区",
                    subject=f"camera {number}",
                    data={"text": text, "number": number, "live": True, "ended": None},
                )
        return seq

    async def verify(self, given: Checkpoint | None = None) -> Verdict:
        """Verify as the command line does, an hour later."""
        return await verify(
            self.database,
            self.directory,
            LedgerKeys(self.ledger.keys_dir).public(),
            now_us=to_us(self.clock.now()) + 3_600_000_000,
            given=given,
        )

    def restarted(self) -> Signer:
        """Return the signer of a process that has just started."""
        return Signer(self.database, self.clock, self.ledger, self.directory)


@pytest.fixture
def book(database: Database, clock: ManualClock, tmp_path: Path) -> Book:
    """An empty ledger on each store."""
    directory = tmp_path / "ledger"
    ledger = Ledger(clock, directory / "keys")
    return Book(database, clock, directory, ledger, Signer(database, clock, ledger, directory))
