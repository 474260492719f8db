"""The kernel on a fresh store, with a clock that the test moves."""

from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import pytest

from access.consent.service import Consent
from access.ledger.service import Ledger
from core.clock import ManualClock
from core.database import Database
from core.secrets import SecretBox, new_key
from core.settings import Settings
from governance.service import Governance, build_governance


@dataclass
class Parts:
    settings: Settings
    clock: ManualClock
    database: Database
    consent: Consent
    ledger: Ledger
    secrets: SecretBox


@pytest.fixture
def parts(database: Database, clock: ManualClock, tmp_path: Path) -> Parts:
    """What governance is made of; a test makes a second process out of it."""
    settings = Settings(data_dir=tmp_path / "data")
    settings.attachments_dir.mkdir(parents=True)
    ledger = Ledger(clock, tmp_path / "keys")
    return Parts(
        settings, clock, database, Consent(clock, ledger, UTC), ledger, SecretBox(new_key())
    )


@pytest.fixture
async def kernel(parts: Parts) -> Governance:
    """Governance without its loops; a test runs the one it is about."""
    return build_governance(parts)
