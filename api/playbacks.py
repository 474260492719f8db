"""Playback of recordings: whole parts of recorded files, and thumbnails of them.

No frame leaves before its ViewRecord is committed, and none after the right to see it has ended:
each request asks again (`api.playback_guard`). Files are read in threads, never on the loop, and
found by the index: no path comes from outside.
"""

import asyncio
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime
from starlette.responses import StreamingResponse

from access.policy.types import Actor
from api.door import permit
from api.hub import Hub, HubDep
from api.looking import Look, camera_to_look_at, could_listen, may_listen, may_look, record
from api.playback_media import (
    ACTION,
    OpenPlayback,
    Span,
    as_recorded,
    codec_of,
    draw,
    init_of,
    let_in,
    not_before,
    nothing_there,
    painted,
    still_so,
)
from camera_hub.recording.index.models import Playback
from camera_hub.recording.index.schemas import SegmentRow
from camera_hub.recording.playback import thumbnails
from camera_hub.recording.playback.schemas import (
    PlaybackCamera,
    PlaybackCreate,
    PlaybackOut,
    PlaybackSegment,
)
from camera_hub.recording.playback.service import camera_of, check_within, hour_of
from camera_hub.recording.sound import has_sound
from camera_hub.streams.painting import read_masks
from core.errors import ConflictError, InvalidInputError

router = APIRouter(prefix="/playbacks", tags=["recordings"])

USUAL = timedelta(seconds=10)
MOST = timedelta(seconds=60)
"""The longest media that one request may ask for; a part at either end may be more."""
_THUMBNAIL_WITHIN = timedelta(seconds=60)

Play = Annotated[Actor, permit(ACTION)]
From = Annotated[AwareDatetime, Query(alias="from")]
OptionalFrom = Annotated[AwareDatetime | None, Query(alias="from")]
OptionalTo = Annotated[AwareDatetime | None, Query(alias="to")]

_MEDIA: dict[int | str, dict[str, object]] = {200: {"content": {"video/mp4": {}}}}
_JPEG: dict[int | str, dict[str, object]] = {200: {"content": {"image/jpeg": {}}}}


@router.post("", status_code=201)
async def begin_playback(body: PlaybackCreate, hub: HubDep, actor: Play) -> PlaybackOut:
    """Begin to play recordings back. A view record of kind `playback` is written for each camera.

    Everybody but the household itself says what it is for. Of a home nothing is shown that was
    recorded before it was this household's; `from` in the answer says since when. With `sound`
    the right to listen is asked for too, of each camera (`recording.listen`).
    """
    async with hub.database.transaction() as session:
        looks, since = [], body.from_at
        for camera_id in body.camera_ids:
            camera = await camera_to_look_at(session, camera_id)
            look = await may_look(
                hub,
                session,
                actor,
                camera,
                ACTION,
                purpose=body.purpose,
                reference=body.reference,
            )
            if look.rendition == "redacted":
                raise ConflictError(
                    "You may see this camera with people blurred only, and recordings cannot be "
                    "blurred yet.",
                    remedy="Watch it live, or ask somebody who may see its recordings.",
                    code="no-redacted-playback",
                )
            if body.sound:
                why = {"purpose": body.purpose, "reference": body.reference}
                look = await may_listen(hub, session, actor, look, ACTION, **why)
            looks.append(look)
            since = max(since, await not_before(hub, session, camera) or since)
        if since >= body.to_at:
            raise nothing_there()
        heard = [await could_listen(hub, session, actor, look, ACTION) for look in looks]
        views = [await record(hub, session, actor, look, "playback") for look in looks]
        row = await hub.playbacks.begin(
            session,
            actor,
            body.model_copy(update={"from_at": since}),
            purpose=looks[0].purpose,
            reference=looks[0].reference,
            cameras=[
                (look.camera.id, view, look.rendition, look.sound)
                for look, view in zip(looks, views, strict=True)
            ],
        )
    hour = None if body.at is None else hour_of(row, body.at)
    cameras = [
        PlaybackCamera(
            camera_id=look.camera.id,
            rendition=look.rendition,
            sound=look.sound,
            may_listen=look.sound or listening,
            segments=None if hour is None else await _files(hub, _opened(row, actor, look), hour),
        )
        for look, listening in zip(looks, heard, strict=True)
    ]
    return PlaybackOut(
        id=row.id,
        from_at=row.from_at,
        to_at=row.to_at,
        purpose=row.purpose,
        reference=row.reference,
        cameras=cameras,
    )


@router.get("/{playback_id}/segments")
async def list_playback_segments(
    *,
    playback_id: UUID,
    camera_id: UUID,
    hub: HubDep,
    actor: Play,
    from_at: OptionalFrom = None,
    to_at: OptionalTo = None,
) -> list[PlaybackSegment]:
    """List the recorded files of a camera in a span of the playback, by time; 26 hours at most."""
    row = await _playback(hub, playback_id, actor)
    opened = await let_in(hub, row, actor, camera_id)
    return await _files(hub, opened, (from_at or row.from_at, to_at or row.to_at))


def _opened(row: Playback, actor: Actor, look: Look) -> OpenPlayback:
    return OpenPlayback(row, actor, look.camera, look.rendition == "masked", look.sound)


async def _files(hub: Hub, opened: OpenPlayback, span: Span) -> list[PlaybackSegment]:
    """Return the recorded files of a camera in a span, as they leave."""
    async with hub.database.read() as session:
        found = await hub.playbacks.segments(session, opened.row, opened.camera_id, *span)
    items = []
    for one in found:
        shown = await init_of(hub, opened, one) if opened.masked else None
        items.append(
            PlaybackSegment(
                id=one.id,
                camera_id=one.camera_id,
                started_at=one.started_at,
                ends_at=one.ends_at,
                codec=codec_of(opened, one) if shown is None else shown.codec,
                width=one.width if shown is None else shown.width,
                height=one.height if shown is None else shown.height,
                sound=opened.sound and has_sound(one.codec),
                has_sound=has_sound(one.codec) and not opened.masked,
                bytes=one.bytes,
                cause=one.cause,
                clock=one.clock,
                motion=one.motion,
            )
        )
    return items


@router.get("/{playback_id}/segments/{segment_id}/init", response_class=Response, responses=_MEDIA)
async def read_playback_init(
    playback_id: UUID, segment_id: UUID, hub: HubDep, actor: Play
) -> Response:
    """Return the init segment that the media of this recorded file need."""
    row = await _playback(hub, playback_id, actor)
    segment = await _segment(hub, row, segment_id)
    opened = await let_in(hub, row, actor, segment.camera_id)
    init = await init_of(hub, opened, segment)
    return Response(
        init.data,
        media_type=f'video/mp4; codecs="{init.codec}"',
        headers={"Cache-Control": "no-store", "X-Codec": init.codec},
    )


@router.get(
    "/{playback_id}/segments/{segment_id}/media",
    response_class=StreamingResponse,
    responses=_MEDIA,
)
async def read_playback_media(
    *,
    playback_id: UUID,
    segment_id: UUID,
    hub: HubDep,
    actor: Play,
    from_at: From,
    to_at: OptionalTo = None,
    keyframe: Annotated[
        bool,
        Query(description="Begin early enough to decode `from`; false: go on where one left off"),
    ] = True,
) -> Response:
    """Return the whole parts that cover a span: ten seconds if `to` is left out, sixty at most.

    `X-Starts-At` and `X-Ends-At` are the wall clock of the first frame and of the end of the last;
    `X-Media-Time` is the time of the first in the media itself, in seconds. To go on, ask from
    `X-Ends-At` with `keyframe=false`.
    """
    row = await _playback(hub, playback_id, actor)
    segment = await _segment(hub, row, segment_id)
    check_within(row, from_at, to_at)
    end = min(from_at + USUAL, row.to_at) if to_at is None else to_at
    if end > from_at + MOST:
        raise InvalidInputError(
            f"A request may ask for {MOST.total_seconds():.0f} seconds at most.",
            remedy="Ask for less, and again for what follows.",
            code="span-too-long",
        )
    opened = await let_in(hub, row, actor, segment.camera_id)
    if opened.masked:
        return await painted(hub, opened, segment, (from_at, end))
    return await as_recorded(hub, opened, segment, (from_at, end), keyframe=keyframe)


@router.get("/{playback_id}/thumbnail", response_class=Response, responses=_JPEG)
async def read_playback_thumbnail(
    playback_id: UUID, camera_id: UUID, at: AwareDatetime, hub: HubDep, actor: Play
) -> Response:
    """Return the picture nearest to `at` as JPEG, 320 pixels wide; one for each ten seconds."""
    row = await _playback(hub, playback_id, actor)
    check_within(row, at)
    opened = await let_in(hub, row, actor, camera_id)
    if not camera_of(row, camera_id).get("thumbnails"):
        await _note_thumbnails(hub, opened)
    masks = read_masks(opened.camera.masks)
    slot = thumbnails.slot(at)
    # A slot at the edge of the playback may show what lies outside of it: that one is not shared.
    shared = row.from_at <= slot and slot + timedelta(seconds=thumbnails.EVERY_S) <= row.to_at
    wanted = slot if shared else at
    jpeg = None
    if shared:
        jpeg = await asyncio.to_thread(hub.thumbnails.read, camera_id, slot, masks)
    if jpeg is None:
        async with hub.database.read() as session:
            near = await hub.recordings.segments(
                session,
                camera_id,
                max(row.from_at, wanted - _THUMBNAIL_WITHIN),
                min(row.to_at, wanted + _THUMBNAIL_WITHIN),
            )
        files = [(one, hub.recordings.path_of(one)) for one in near]
        span = row.from_at, row.to_at
        jpeg = await asyncio.to_thread(draw, files, wanted, span, masks)
        if shared:
            await asyncio.to_thread(hub.thumbnails.keep, camera_id, slot, masks, jpeg)
    await still_so(hub, opened)
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "no-store"})


@router.delete("/{playback_id}", status_code=204)
async def end_playback(playback_id: UUID, hub: HubDep, actor: Play) -> None:
    """End it, and its view records."""
    async with hub.database.read() as session:
        await hub.playbacks.get(session, playback_id, actor)
    await hub.playback_guard.end(playback_id)


async def guard_playbacks(hub: Hub) -> None:
    """End playbacks that may not go on, or that nobody uses any more, until cancelled."""
    await hub.playback_guard.run()


async def _playback(hub: Hub, playback_id: UUID, actor: Actor) -> Playback:
    """Return a playback of this sign-in, and note that it is used."""
    async with hub.database.read() as session:
        row = await hub.playbacks.get(session, playback_id, actor)
    if hub.playbacks.needs_touch(row):
        async with hub.database.transaction() as session:
            await hub.playbacks.touch(session, playback_id)
    return row


async def _segment(hub: Hub, row: Playback, segment_id: UUID) -> SegmentRow:
    async with hub.database.read() as session:
        return await hub.playbacks.segment(session, row, segment_id)


async def _note_thumbnails(hub: Hub, opened: OpenPlayback) -> None:
    """Write, once for a playback and camera, that thumbnails of it are seen."""
    row, actor = opened.row, opened.actor
    async with hub.database.transaction() as session:
        camera = await camera_to_look_at(session, opened.camera_id)
        look = await may_look(
            hub, session, actor, camera, ACTION, purpose=row.purpose, reference=row.reference
        )
        if await hub.playbacks.begin_thumbnails(session, row.id, camera.id):
            await record(hub, session, actor, look, "thumbnail")
