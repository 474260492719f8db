"""The recordings of an export, written: as they are, with masks painted, or with people blurred.

One export is made at a time, in a thread that the system runs after everything else.
"""

import asyncio
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from analytics.redaction.cover import CONFIDENCE
from api.export_recordings import masks_of
from api.hub import Hub
from camera_hub.devices import homes
from camera_hub.devices.models import Camera
from camera_hub.recording.clip_painting import Masking, PaintFilm, Painting
from camera_hub.recording.clip_pieces import Source
from camera_hub.recording.clips import Clip, make_clip
from camera_hub.recording.index.models import Playback
from camera_hub.recording.playback import repository as playbacks
from camera_hub.streams.painting import read_masks
from core.errors import NotFoundError, UnavailableError
from core.logging import get_logger
from governance.exports.builder import RECORDINGS, Filming, Films
from governance.exports.credentials import Credentials
from governance.exports.models import ExportRequest
from governance.exports.packing import check_room

if TYPE_CHECKING:
    from typing_extensions import TypeIs

    from analytics.redaction.film import FilmRedactor

_NICE = 10
_PAINTED_BYTES_S = 250_000
"""What painted pictures take at most, in bytes a second: the encoder keeps to it."""


_log = get_logger("api.exports")


def films(hub: Hub) -> Films:
    """Return what writes the recordings of an export."""

    async def make(row: ExportRequest, filming: Filming) -> list[dict[str, Any]]:
        plans = [await _plan(hub, one) for one in row.recordings]
        needed = sum(_needed(row, *plan) for plan in plans)
        check_room(filming.folder, needed if filming.credentials is None else 2 * needed)
        total = sum(source.row.bytes for _, sources in plans for source in sources) or 1
        done = 0

        def step(size: int) -> None:
            nonlocal done
            if filming.stopped.is_set():
                raise _stopped()
            done += size
            filming.progress(min(1.0, done / total))

        found = []
        with ThreadPoolExecutor(1, "export", _after_everything_else) as pool:
            for number, (noted, (camera, sources)) in enumerate(
                zip(row.recordings, plans, strict=True), 1
            ):
                span = datetime.fromisoformat(noted["from"]), datetime.fromisoformat(noted["to"])
                painting = await _painting(hub, row, camera, filming.stopped)
                work = partial(
                    make_clip, filming.folder, str(number), sources, span,
                    masking=painting, progress=step, opened=filming.opened, sound=row.sound,
                )  # fmt: skip
                clip = await _in(pool, work, filming.stopped)
                now, _ = await _plan(hub, noted)
                if now.masks != camera.masks:
                    raise UnavailableError(
                        "The privacy masks were changed while the export was made.",
                        remedy="Ask for it again.",
                        code="redaction-away",
                    )
                about = await _about(hub, noted, (camera, painting), clip, span)
                if filming.credentials is not None:
                    await asyncio.to_thread(_credit, filming.credentials, clip, about)
                found.append(about)
        async with hub.database.transaction() as session:
            kept = await hub.exports.locked(session, row.id)
            kept.recordings = [
                {**noted, "masks": masks_of(camera)}
                for noted, (camera, _) in zip(kept.recordings, plans, strict=True)
            ]
        return found

    return make


async def _in(pool: ThreadPoolExecutor, work: partial[Clip], stopped: threading.Event) -> Clip:
    """Run `work` in the pool's thread; it has ended when this has, cancelled or not."""
    running = asyncio.get_running_loop().run_in_executor(pool, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stopped.set()
        await asyncio.wait([running])
        if (fault := running.exception()) is not None:
            _log.info("making a recording ended as it was told to stop", error=repr(fault))
        raise


def _credit(credentials: Credentials, clip: Clip, about: dict[str, Any]) -> None:
    """Write Content Credentials into the files of a clip; where its parts lie moves with that."""
    for file, told in zip(clip.files, about["files"], strict=True):
        used = {part["segment_id"] for part in file.parts}
        sources = [one for one in about["segments"] if one["id"] in used]
        moved = credentials.embed(file.path, about["rendition"], sources)
        told["content_credentials"] = "c2pa"
        told["parts"] = [{**part, "offset": part["offset"] + moved} for part in file.parts]


def _after_everything_else() -> None:
    # On Linux a thread has a priority of its own.
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


async def _painting(
    hub: Hub, row: ExportRequest, camera: Camera, stopped: threading.Event
) -> Painting | None:
    if row.blurred:
        return await hub.redactor.film(camera.masks, stopped)
    masks = read_masks(camera.masks)
    return Masking(masks, await asyncio.to_thread(_filling)) if masks else None


def _filling() -> PaintFilm:
    # With OpenCV: imported in a thread, by the first copy that needs it.
    from analytics.redaction.planes import mask_film

    return mask_film


def _is_blurred(painting: Painting | None) -> "TypeIs[FilmRedactor]":
    return painting is not None and not isinstance(painting, Masking)


def _needed(row: ExportRequest, camera: Camera, sources: Sequence[Source]) -> int:
    """Return how many bytes the clip of a camera takes on the disk while it is made, at most."""
    as_it_is = sum(source.row.bytes for source in sources)
    if not (row.blurred or camera.masks):
        return as_it_is
    length = sum(((one.row.ends_at - one.row.started_at) for one in sources), timedelta(0))
    painted = int(length.total_seconds() * _PAINTED_BYTES_S)
    # Once as it comes from the encoder, once as a file, and what is prepared once more as a zip.
    return painted * (3 if row.blurred else 2)


def _stopped() -> UnavailableError:
    return UnavailableError("Nobody wants this export any more.", code="not-wanted")


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
    return camera, [Source(row, hub.recordings.path_of(row)) for row in rows if row.role == role]


async def _about(
    hub: Hub,
    noted: dict[str, Any],
    filmed: tuple[Camera, Painting | None],
    clip: Clip,
    span: tuple[datetime, datetime],
) -> dict[str, Any]:
    """Return what the manifest says of one camera, and of what painted its pictures."""
    camera, painting = filmed
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
        **_rendition(camera, painting),
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
                "sound": "mp4a" in file.codec,
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
        **({} if _is_blurred(painting) else {"played_back": _played(camera, seen)}),
    }


def _played(camera: Camera, seen: Sequence[Playback]) -> list[dict[str, str]]:
    """Return who has played the span back: of what is published that says nothing."""
    return [
        {
            "playback_id": str(row.id),
            "view_id": next(o["view_id"] for o in row.cameras if o["camera_id"] == str(camera.id)),
            "account_id": str(row.account_id),
            "at": row.created_at.astimezone(UTC).isoformat(),
            "purpose": row.purpose,
            "reference": row.reference,
        }
        for row in seen
    ]


def _rendition(camera: Camera, painting: Painting | None) -> dict[str, Any]:
    """Return what the manifest says of how the pictures were made."""
    if not _is_blurred(painting):
        return {"rendition": "masked" if camera.masks else "raw"}
    from analytics.redaction.film import LEAST_LOOKS_PER_S, LONGEST_SIDE

    return {
        "rendition": "blurred",
        "evidence": False,
        "redaction": {
            "model": painting.model,
            "confidence": CONFIDENCE,
            "looks_per_s": LEAST_LOOKS_PER_S,
            "looks": painting.looks,
            "longest_side": LONGEST_SIDE,
            "covered": painting.covered,
            "blurred_whole": painting.blurred,
            "masks": len(camera.masks),
        },
    }
