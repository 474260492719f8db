"""Attacks on exports: pictures that leave without what was covered since."""

from uuid import UUID

from sqlalchemy import update

from api.hub import Hub
from camera_hub.devices.models import Camera
from tests.api.exports_kit import BOTH, incident_id, ready
from tests.api.playbacks_kit import MASKS
from tests.governance.support import AREA
from tests.support.http import SignIn

__all__ = ["incident_id"]


@BOTH
async def test_pictures_made_before_the_masks_are_handed_out_no_more(
    hub: Hub, sign_in: SignIn, incident_id: UUID
) -> None:
    asker, other = await sign_in("supervisor", AREA), await sign_in("supervisor", AREA)
    export = await ready(hub, asker, other, incident_id)
    url = f"/api/v1/exports/{export['id']}/file"
    assert (await asker.get(url)).status_code == 200
    async with hub.database.transaction() as session:
        await session.execute(update(Camera).values(masks=MASKS))
    refused = await asker.get(url)
    assert (refused.status_code, refused.json()["code"]) == (410, "export-expired")
