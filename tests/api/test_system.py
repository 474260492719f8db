"""What a person is told of the site's own state."""

from datetime import datetime

from api.hub import Hub
from governance.beats import repository as beats
from tests.support.http import SignIn


async def test_the_system_says_when_all_was_well(hub: Hub, sign_in: SignIn) -> None:
    duty = await sign_in("supervisor")
    assert (await duty.get("/api/v1/system")).json()["well_at"] is None
    at = hub.clock.now()
    async with hub.database.transaction() as session:
        await beats.write(session, "hub", at)
    shown = (await duty.get("/api/v1/system")).json()["well_at"]
    assert datetime.fromisoformat(shown) == at
