"""Recordings in exports: who may ask for them, what keeps them meanwhile, and how they are made.

What one may hand out is what one may play back: `recording.play` is asked beside the actions of
exports, when it is asked for and again when it is downloaded.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.types import Actor
from analytics.redaction.paint import mask
from api.hub import Hub
from api.looking import camera_to_look_at, may_look
from api.playback_media import not_before
from camera_hub.devices import homes
from camera_hub.devices.models import Camera
from camera_hub.recording.clips import Clip, Masking, Source, make_clip
from camera_hub.recording.index import deletions
from camera_hub.recording.index.locks import LockedCamera, LockWanted
from camera_hub.recording.index.schemas import SegmentRow
from camera_hub.recording.playback import repository as playbacks
from camera_hub.streams.painting import masks_digest, read_masks
from core.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    UnavailableError,
)
from governance.exports.builder import RECORDINGS, Films
from governance.exports.models import ExportRequest
from governance.exports.schemas import ExportCreate
from governance.exports.service import ExportExpiredError, Recorded, Shown
from governance.incidents.models import Incident
from governance.outbox import service as outbox

_ACTION = "recording.play"
_KEPT_LONGER = timedelta(days=30)
"""How long the sources stay after the export itself has expired: somebody may doubt it."""


async def recorded(
    hub: Hub, session: AsyncSession, actor: Actor, wish: ExportCreate
) -> list[Recorded]:
    """Return the recordings that are asked for; `actor` may play each of them back.

    Raises:
        InvalidInputError: `no-redacted-recordings`, `not-recorded-yet` or `one-home-only`.
        NotFoundError: `no-recording`: nothing was recorded then; or no such camera.
        ForbiddenError, ConflictError: the actor may not see them, or only blurred.
    """
    if not wish.recordings:
        return []
    if wish.audience != "authority":
        raise InvalidInputError(
            "Recordings cannot be blurred yet, so they are handed to an authority only.",
            remedy="Ask for pictures of an incident instead; in those people are blurred.",
            code="no-redacted-recordings",
        )
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
        if look.rendition == "redacted":
            raise ConflictError(
                "You may see this camera with people blurred only, and recordings cannot be "
                "blurred yet.",
                remedy="Ask somebody who may see its recordings.",
                code="no-redacted-playback",
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
    """
    found = []
    for one in row.recordings:
        camera = await camera_to_look_at(session, UUID(one["camera_id"]))
        await may_look(
            hub, session, actor, camera, _ACTION, purpose=row.purpose, reference=row.reference
        )
        if one.get("masks", _masks_of(camera)) != _masks_of(camera):
            raise ExportExpiredError(
                "The privacy masks were changed after this file was made.",
                remedy="Ask for the recordings again.",
            )
        found.append(camera)
    return found


def films(hub: Hub) -> Films:
    """Return what writes the recordings of an export into a folder."""

    async def make(
        row: ExportRequest, folder: Path, progress: Callable[[float], None]
    ) -> list[dict[str, Any]]:
        plans = [await _plan(hub, one) for one in row.recordings]
        total = sum(source.row.bytes for _, sources in plans for source in sources) or 1
        done = 0

        def step(size: int) -> None:
            nonlocal done
            done += size
            progress(min(1.0, done / total))

        found = []
        for number, (noted, (camera, sources)) in enumerate(
            zip(row.recordings, plans, strict=True), 1
        ):
            span = datetime.fromisoformat(noted["from"]), datetime.fromisoformat(noted["to"])
            masks = read_masks(camera.masks)
            masking = Masking(masks, mask) if masks else None
            clip = await asyncio.to_thread(
                make_clip, folder, str(number), sources, span, masking=masking, progress=step
            )
            now, _ = await _plan(hub, noted)
            if now.masks != camera.masks:
                raise UnavailableError(
                    "The privacy masks were changed while the export was made.",
                    remedy="Ask for it again.",
                    code="redaction-away",
                )
            found.append(await _about(hub, noted, camera, clip, span))
        async with hub.database.transaction() as session:
            kept = await hub.exports.locked(session, row.id)
            kept.recordings = [
                {**noted, "masks": _masks_of(camera)}
                for noted, (camera, _) in zip(kept.recordings, plans, strict=True)
            ]
        return found

    return make


async def _plan(hub: Hub, noted: dict[str, Any]) -> tuple[Camera, list[Source]]:
    """Return the camera as it is now, and the segments of the stream that covers most."""
    start, end = datetime.fromisoformat(noted["from"]), datetime.fromisoformat(noted["to"])
    camera_id = UUID(noted["camera_id"])
    async with hub.database.read() as session:
        camera = await homes.also_deleted(session, camera_id)
        rows = await hub.recordings.segments(session, camera_id, start, end)
    if camera is None or not rows:
        raise NotFoundError(
            f"The recordings of {noted['name']} are not there any more.",
            remedy="What protects recordings from deletion is a lock.",
            code="no-recording",
        )

    def covered(role: str) -> timedelta:
        mine = (min(r.ends_at, end) - max(r.started_at, start) for r in rows if r.role == role)
        return sum(mine, timedelta(0))

    # Of equals the main stream: it shows more.
    role = max(sorted({row.role for row in rows}), key=covered)
    return camera, [Source(row, _path(hub, row)) for row in rows if row.role == role]


def _masks_of(camera: Camera) -> str:
    """Return what tells the masks that a camera has now from any others."""
    return masks_digest(read_masks(camera.masks))


def _path(hub: Hub, row: SegmentRow) -> Path:
    return hub.recordings.path_of(row)


async def _about(
    hub: Hub,
    noted: dict[str, Any],
    camera: Camera,
    clip: Clip,
    span: tuple[datetime, datetime],
) -> dict[str, Any]:
    """Return what the manifest says of one camera."""
    if not clip.files:
        raise NotFoundError(
            f"Nothing of {noted['name']} can be read there.",
            remedy="An administrator finds out more with `camera-hub recordings check`.",
            code="no-recording",
        )
    async with hub.database.read() as session:
        seen = await playbacks.overlapping(session, camera.id, *span, span[0])
    return {
        "camera_id": noted["camera_id"],
        "camera": noted["name"],
        "area": noted["area"],
        "rendition": "masked" if camera.masks else "raw",
        "asked": {"from": noted["from"], "to": noted["to"]},
        "present": {
            "from": min(file.starts_at for file in clip.files).astimezone(UTC).isoformat(),
            "to": max(file.ends_at for file in clip.files).astimezone(UTC).isoformat(),
        },
        "gaps": [{"from": a.isoformat(), "to": b.isoformat()} for a, b in clip.gaps],
        "clock": "UTC of the recorder, from when pictures arrived; bent by at most 500 ppm",
        "camera_clock_offset_s": camera.clock_offset_s,
        "timescale": 90_000,
        "files": [
            {
                "name": f"{RECORDINGS}/{file.path.name}",
                "frames_csv": f"{RECORDINGS}/{file.frames_path.name}",
                "codec": file.codec,
                "width": file.width,
                "height": file.height,
                "frames": file.frames,
                "starts_at": file.starts_at.astimezone(UTC).isoformat(),
                "ends_at": file.ends_at.astimezone(UTC).isoformat(),
                "parts": file.parts,
            }
            for file in clip.files
        ],
        "segments": clip.segments,
        "lock_id": noted["lock_id"],
        "played_back": [
            {
                "playback_id": str(row.id),
                "view_id": next(
                    o["view_id"] for o in row.cameras if o["camera_id"] == str(camera.id)
                ),
                "account_id": str(row.account_id),
                "at": row.created_at.astimezone(UTC).isoformat(),
                "purpose": row.purpose,
                "reference": row.reference,
            }
            for row in seen
        ],
    }


def _around(areas: Sequence[str]) -> str:
    """Return the smallest area that holds all of `areas`; "" is the whole site."""
    steps = [area.split("/") for area in areas]
    shared = []
    for names in zip(*steps, strict=False):
        if len(set(names)) > 1:
            break
        shared.append(names[0])
    return "/".join(shared)
