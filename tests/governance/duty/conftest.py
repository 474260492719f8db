"""The kernel of a site whose clock changes twice a year."""

import pytest

from core.settings import Settings
from governance.service import Governance, build_governance
from tests.governance.conftest import Parts


@pytest.fixture
async def kernel(parts: Parts) -> Governance:
    """Governance of a site in Europe/Berlin."""
    site = parts.settings.site.model_copy(update={"time_zone": "Europe/Berlin"})
    parts.settings = parts.settings.model_copy(update={"site": site})
    assert isinstance(parts.settings, Settings)
    return build_governance(parts)
