"""Every decision on zones. Commits nothing: the caller's transaction does."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from analytics.zones import repository
from analytics.zones.models import ZoneRow
from analytics.zones.schemas import Zone, ZonesOut, ZonesUpdate
from core.clock import Clock
from core.errors import ConflictError
from core.ids import new_id


def _zone(row: ZoneRow) -> Zone:
    return Zone.model_validate(
        {"id": row.id, "name": row.name, "polygon": row.polygon, "rules": row.rules}
    )


async def read_zones(session: AsyncSession, camera_id: UUID) -> ZonesOut:
    """Return the zones of one camera with their version."""
    rows = await repository.of_cameras(session, [camera_id])
    version = await repository.version_of(session, camera_id)
    return ZonesOut(version=version, zones=tuple(_zone(row) for row in rows))


async def zones_of_cameras(
    session: AsyncSession, camera_ids: Sequence[UUID]
) -> dict[UUID, ZonesOut]:
    """Return the zones of many cameras in two queries; every asked camera has an entry."""
    versions = await repository.versions_of(session, camera_ids)
    zones: dict[UUID, list[Zone]] = {camera_id: [] for camera_id in camera_ids}
    for row in await repository.of_cameras(session, camera_ids):
        zones[row.camera_id].append(_zone(row))
    return {
        camera_id: ZonesOut(version=versions.get(camera_id, 0), zones=tuple(found))
        for camera_id, found in zones.items()
    }


async def replace_zones(
    session: AsyncSession, clock: Clock, camera_id: UUID, body: ZonesUpdate
) -> ZonesOut:
    """Replace all zones of a camera that exists, if `body.version` is still the current one.

    A zone keeps its id when the camera already has a zone of that id; any other id, or none,
    becomes a new one, so that nobody can name the zone of another camera.

    Raises:
        ConflictError: somebody else changed the zones since they were read; `detail["current"]`
            holds the version now valid.
    """
    if not await repository.take_version(
        session, camera_id, expected=body.version, now=clock.now()
    ):
        raise ConflictError(
            "Somebody else changed the zones of this camera in the meantime.",
            remedy="Load the zones again and repeat your change.",
            code="version-conflict",
            detail={"current": await repository.version_of(session, camera_id)},
        )
    known = {row.id for row in await repository.of_cameras(session, [camera_id])}
    rows: list[ZoneRow] = []
    for position, zone in enumerate(body.zones):
        kept = zone.id if zone.id in known else None
        if kept is not None:
            known.discard(kept)
        content = zone.model_dump(mode="json", by_alias=True)
        rows.append(
            ZoneRow(
                id=kept or new_id(),
                camera_id=camera_id,
                position=position,
                name=content["name"],
                polygon=content["polygon"],
                rules=content["rules"],
            )
        )
    await repository.replace(session, camera_id, rows)
    return ZonesOut(version=body.version + 1, zones=tuple(_zone(row) for row in rows))
