"""Recordings in exports: who may ask for them, what keeps them meanwhile, and how they are made.

What one may hand out is what one may play back: `recording.play` is asked beside the actions of
exports, when it is asked for and again when it is downloaded.
"""

from collections.abc import Sequence
from datetime import UTC, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.types import Actor
from api.hub import Hub
from api.looking import camera_to_look_at, may_look
from api.playback_media import not_before
from camera_hub.devices import homes
from camera_hub.devices.models import Camera
from camera_hub.recording.index import deletions
from camera_hub.recording.index.locks import LockedCamera, LockWanted
from camera_hub.streams.painting import masks_digest, read_masks
from core.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
)
from governance.exports.models import ExportRequest
from governance.exports.schemas import ExportCreate, Rendition
from governance.exports.service import ExportExpiredError, Recorded, Shown
from governance.incidents.models import Incident
from governance.outbox import service as outbox

_ACTION = "recording.play"
_HEAR = "recording.listen"
_KEPT_LONGER = timedelta(days=30)
"""How long the sources stay after the export itself has expired: somebody may doubt it."""


def rendition_of(wish: ExportCreate) -> Rendition:
    """Return how pictures and recordings leave: as asked for, where that may be.

    Raises:
        InvalidInputError: `must-be-blurred`: whoever is no authority gets no others;
            `no-sound-there`: sound goes with recordings as they are, and with nothing else.
    """
    blurred = wish.rendition == "blurred" or wish.audience != "authority"
    if wish.rendition == "raw" and blurred:
        raise InvalidInputError(
            "Only an authority is handed pictures in which people can be known.",
            remedy="Ask for a blurred copy, or, if an authority asks for it, for the authority.",
            code="must-be-blurred",
        )
    if wish.sound and (blurred or not wish.recordings):
        raise InvalidInputError(
            "Sound goes out with recordings as they are, and with nothing else.",
            remedy="Ask for the recordings without sound, or not blurred for an authority.",
            code="no-sound-there",
        )
    return "blurred" if blurred else "raw"


async def recorded(
    hub: Hub, session: AsyncSession, actor: Actor, wish: ExportCreate
) -> list[Recorded]:
    """Return the recordings that are asked for; `actor` may play each of them back.

    Raises:
        InvalidInputError: `not-recorded-yet`; as `rendition_of`.
        NotFoundError: `no-recording`: nothing was recorded then; or no such camera.
        ForbiddenError, ConflictError: the actor may not see them, or only blurred.
    """
    if not wish.recordings:
        return []
    found = []
    for one in wish.recordings:
        if one.to_at > hub.clock.now():
            raise InvalidInputError(
                "A part of what is asked for lies in the future.",
                remedy="Ask for what was recorded already.",
                code="not-recorded-yet",
            )
        camera = await camera_to_look_at(session, one.camera_id)
        look = await may_look(
            hub,
            session,
            actor,
            camera,
            _ACTION,
            purpose=wish.purpose,
            reference=wish.reference,
        )
        if look.rendition == "redacted" and rendition_of(wish) == "raw":
            raise _only_blurred()
        if wish.sound:
            await may_look(
                hub,
                session,
                actor,
                camera,
                _HEAR,
                purpose=wish.purpose,
                reference=wish.reference,
            )
        since = await not_before(hub, session, camera) or one.from_at
        start, end = max(since, one.from_at).astimezone(UTC), one.to_at.astimezone(UTC)
        there = start < end and await hub.recordings.segments(session, camera.id, start, end)
        if not there:
            raise NotFoundError(
                f"Nothing was recorded by {camera.name} then.",
                remedy="Ask for a recorded time.",
                code="no-recording",
            )
        home = camera.household_id if camera.place_kind == "home" else None
        found.append(
            Recorded(camera.id, camera.name, camera.area, camera.place_kind, home, start, end)
        )
    return found


def shown_with(incident: Incident | None, shown: Shown | None, found: Sequence[Recorded]) -> Shown:
    """Return what an export shows as a whole: the area around all of it, and whose home it is.

    Args:
        incident: the one it is about, if any.
        shown: whose pictures of it are in it; None: none are.
        found: the recordings.

    Raises:
        InvalidInputError: `no-pictures`: there is nothing; `one-home-only`.
    """
    if shown is not None and not found:
        return shown
    if not found:
        raise InvalidInputError(
            "There are no pictures to hand out.",
            remedy="Choose an incident or recordings.",
            code="no-pictures",
        )
    places = {(one.place_kind == "home", one.household_id) for one in found}
    if shown is not None:
        places.add((shown.place_kind == "home", shown.household_id))
    at_home = any(home for home, _ in places)
    if at_home and len(places) > 1:
        raise InvalidInputError(
            "An export that shows a home shows that home and nothing else.",
            remedy="Ask for each home, and for what is not a home, on its own.",
            code="one-home-only",
        )
    areas = [one.area for one in found] + ([] if incident is None else [incident.area])
    names = list(dict.fromkeys(one.name for one in found))
    if shown is not None and shown.name and shown.name not in names:
        names.insert(0, shown.name)
    return Shown(
        area=_around(areas),
        camera_id=None if shown is None else shown.camera_id,
        name=", ".join(names)[:200],
        place_kind="home" if at_home else found[0].place_kind,
        household_id=found[0].household_id if at_home else None,
    )


async def begin_keeping(session: AsyncSession) -> None:
    """Take what locks of recordings are made under, in the order in which everybody takes it."""
    await outbox.serialise(session)
    await deletions.serialise(session)


async def keep(
    hub: Hub, session: AsyncSession, actor: Actor, row: ExportRequest, found: Sequence[Recorded]
) -> None:
    """Lock what is asked for, so that it is still there when somebody approves."""
    now = hub.clock.now()
    until = now + min(
        timedelta(days=row.expires_in_days) + _KEPT_LONGER, hub.recordings.locks.longest
    )
    kept = []
    for one, noted in zip(found, row.recordings, strict=True):
        wanted = LockWanted(
            one.start, one.end, f"{row.number}: {row.reason}"[:300], until, row.incident_id
        )
        camera = LockedCamera(one.camera_id, one.name, one.area)
        lock = await hub.recordings.locks.lock(session, actor, camera, wanted)
        kept.append({**noted, "lock_id": str(lock.id)})
    row.recordings = kept


async def let_go(hub: Hub, session: AsyncSession, actor: Actor, row: ExportRequest) -> None:
    """End the locks of an export that will not be built; call it before its step is written."""
    locks = hub.recordings.locks
    wanted = [one for one in row.recordings if one.get("lock_id")]
    if not wanted:
        return
    await deletions.serialise(session)
    for one in wanted:
        try:
            lock = await locks.get(session, UUID(one["lock_id"]))
        except NotFoundError:
            continue
        if locks.state_of(lock) == "active":
            await locks.unlock(session, actor, lock, one["area"])


async def may_still_play(
    hub: Hub, session: AsyncSession, actor: Actor, row: ExportRequest
) -> list[Camera]:
    """Return the cameras whose recordings `actor` gets with the file; raises as `may_look`.

    Raises:
        ExportExpiredError: it was made with other masks than the camera has now.
        ConflictError: `no-redacted-playback`: the actor may see them with people blurred only.
    """
    found = []
    for one in row.recordings:
        camera = await camera_to_look_at(session, UUID(one["camera_id"]))
        for action in (_ACTION, _HEAR) if row.sound else (_ACTION,):
            look = await may_look(
                hub, session, actor, camera, action, purpose=row.purpose, reference=row.reference
            )
            if look.rendition == "redacted" and not row.blurred:
                raise _only_blurred()
        if one.get("masks", masks_of(camera)) != masks_of(camera):
            raise ExportExpiredError(
                "The privacy masks were changed after this file was made.",
                remedy="Ask for the recordings again.",
            )
        found.append(camera)
    return found


def _only_blurred() -> ConflictError:
    return ConflictError(
        "You may see this camera with people blurred only.",
        remedy="Ask for a blurred copy, or ask somebody who may see its recordings.",
        code="no-redacted-playback",
    )


async def picture_masks(session: AsyncSession, camera_id: UUID | None) -> str:
    """Return what tells the masks that pictures of a camera have now from any others."""
    camera = None if camera_id is None else await homes.also_deleted(session, camera_id)
    return "" if camera is None else masks_of(camera)


async def check_picture_masks(session: AsyncSession, row: ExportRequest) -> None:
    """Refuse pictures that were made with other masks than their camera has now.

    Raises:
        ExportExpiredError: they were.
    """
    made = row.picture_masks
    if row.attachment_ids and made not in {None, await picture_masks(session, row.camera_id)}:
        raise ExportExpiredError(
            "The privacy masks were changed after this file was made.",
            remedy="Ask for the pictures again.",
        )


def masks_of(camera: Camera) -> str:
    """Return what tells the masks that a camera has now from any others."""
    return masks_digest(read_masks(camera.masks))


def _around(areas: Sequence[str]) -> str:
    """Return the smallest area that holds all of `areas`; "" is the whole site."""
    steps = [area.split("/") for area in areas]
    shared = []
    for names in zip(*steps, strict=False):
        if len(set(names)) > 1:
            break
        shared.append(names[0])
    return "/".join(shared)
