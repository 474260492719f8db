"""The kernel of a site in China."""

import pytest

from governance.service import Governance, build_governance
from tests.governance.conftest import Parts


@pytest.fixture
async def kernel(parts: Parts) -> Governance:
    """Governance of a site in Asia/Shanghai."""
    site = parts.settings.site.model_copy(update={"time_zone": "Asia/Shanghai"})
    parts.settings = parts.settings.model_copy(update={"site": site})
    return build_governance(parts)
