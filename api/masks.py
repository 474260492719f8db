"""Privacy masks of a camera: what nobody is shown."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from access.policy.types import Actor
from analytics.redaction.schemas import MasksUpdate
from api.cameras import describe, visible
from api.door import permit
from api.hub import HubDep
from camera_hub.devices.masks import replace_masks
from camera_hub.devices.schemas import CameraOut
from governance.outbox import service as outbox

router = APIRouter(tags=["cameras"])


@router.put("/cameras/{camera_id}/masks")
async def update_masks(
    camera_id: UUID,
    body: MasksUpdate,
    hub: HubDep,
    actor: Annotated[Actor, permit("camera.mask")],
) -> CameraOut:
    """Replace all masks of a camera; views without them end at once. It is in the ledger."""
    async with hub.database.transaction() as session:
        camera = await visible(hub, session, actor, camera_id, "camera.mask")
        before = len(camera.masks)
        masks = [mask.model_dump(mode="json") for mask in body.masks]
        await replace_masks(session, camera, body.version, masks, burnt=body.burnt)
        await outbox.append(
            session,
            type="camera.changed",
            area=camera.area,
            payload={"camera_id": str(camera.id)},
            at=hub.clock.now(),
            camera_id=camera.id,
        )
        await hub.ledger.append(
            session,
            "camera.masked",
            actor=actor,
            area=camera.area,
            subject=str(camera.id),
            data={"before": before, "after": len(masks), "burnt": body.burnt},
        )
    if masks or before:
        # Views with other masks as well: each comes back, and only with these.
        await hub.live.drop(camera_id, reason="The privacy masks of this camera changed.")
    return describe(hub, actor, camera)
