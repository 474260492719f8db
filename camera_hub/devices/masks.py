"""Changing a camera's privacy masks."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from camera_hub.devices import repository
from camera_hub.devices.models import Camera
from core.errors import ConflictError


async def replace_masks(
    session: AsyncSession,
    camera: Camera,
    version: int,
    masks: Sequence[dict[str, Any]],
    *,
    burnt: bool,
) -> None:
    """Replace all masks of a camera, if `version` is still its current one.

    Args:
        session: within a transaction, which the caller commits.
        camera: as read in this transaction.
        version: that the masks were drawn for.
        masks: objects with `name` and `polygon`, corners relative to the picture.
        burnt: applied before recording too.

    Raises:
        ConflictError: code `version-conflict`: somebody else changed the camera meanwhile;
            `detail["current"]` is the version now valid.
    """
    if not await repository.take_version(session, camera.id, version):
        raise ConflictError(
            f"Somebody else changed the camera '{camera.name}' in the meantime.",
            remedy="Load it again and repeat your change.",
            code="version-conflict",
            detail={"current": camera.version},
        )
    await session.refresh(camera)
    camera.masks = [dict(mask) for mask in masks]
    camera.masks_burnt = burnt
    await session.flush()
