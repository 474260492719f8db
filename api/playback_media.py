"""What leaves of a playback: parts as they were recorded, painted ones, and thumbnails.

Files are read, decoded and painted in threads, never on the loop; few are painted at once.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response, StreamingResponse

from access.policy.types import Actor
from api.guards import Watcher
from api.hub import Hub
from api.looking import camera_to_look_at, still_looking
from camera_hub.devices.models import Camera
from camera_hub.live.muxer import Init
from camera_hub.recording.format import TIMESCALE, Part
from camera_hub.recording.index.models import Playback
from camera_hub.recording.index.schemas import SegmentRow
from camera_hub.recording.playback import thumbnails
from camera_hub.recording.playback.filled import filled
from camera_hub.recording.playback.masked import Media, masked_init, masked_media
from camera_hub.recording.playback.service import PlaybackEndedError, camera_of
from camera_hub.recording.reading import SegmentFile, SegmentUnreadableError
from camera_hub.recording.sound import has_sound, with_codec
from camera_hub.streams.painting import Polygon, read_masks
from core.errors import HubError, NotFoundError, UnavailableError

ACTION = "recording.play"
_PIECE = 1024 * 1024
_WAIT_FOR_PAINTER_S = 3.0
_TRIES = 3

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class OpenPlayback:
    """What a request was let through to: a playback and one of its cameras.

    `sound`: what was recorded is heard too.
    """

    row: Playback
    actor: Actor
    camera: Camera
    masked: bool
    sound: bool = False

    @property
    def camera_id(self) -> UUID:
        return self.camera.id


async def not_before(hub: Hub, session: AsyncSession, camera: Camera) -> datetime | None:
    """Return since when the home that `camera` shows is that of its household; None: no home.

    What was recorded before was the home of somebody else, or a gate, even where it is still there.
    """
    if camera.place_kind != "home" or camera.household_id is None:
        return None
    begun = (await hub.households.get(session, camera.household_id)).created_at
    return begun if camera.home_since is None else max(begun, camera.home_since)


async def let_in(hub: Hub, row: Playback, actor: Actor, camera_id: UUID) -> OpenPlayback:
    """Ask whether this camera of the playback may be shown now.

    Raises:
        NotFoundError: it is no camera of the playback.
        PlaybackEndedError: it may not be shown any more.
    """
    shown = camera_of(row, camera_id)

    async def still(who: Actor, which: frozenset[Watcher]) -> frozenset[Watcher]:
        return await still_looking(hub, who, which, ACTION)

    await hub.playback_guard.check(row, actor, camera_id, still)
    async with hub.database.read() as session:
        camera = await camera_to_look_at(session, camera_id)
    masked = shown["rendition"] == "masked"
    if camera.masks and not masked:
        # Masks that came since: what was shown so far must not go on.
        await hub.playback_guard.end(row.id, [camera_id])
        raise PlaybackEndedError
    return OpenPlayback(row, actor, camera, masked, bool(shown.get("sound")) and not masked)


def codec_of(opened: OpenPlayback, segment: SegmentRow) -> str:
    """Return the codec of a recorded file as it leaves."""
    return with_codec(segment.codec, sound=opened.sound and has_sound(segment.codec))


async def init_of(hub: Hub, opened: OpenPlayback, segment: SegmentRow) -> Init:
    if opened.masked:
        return await asyncio.to_thread(masked_init, segment.width, segment.height)
    path = hub.recordings.path_of(segment)

    def read() -> bytes:
        with SegmentFile(path) as file:
            return file.init if opened.sound else file.silent_init

    data = await asyncio.to_thread(read)
    return Init(codec_of(opened, segment), segment.width, segment.height, data)


async def as_recorded(
    hub: Hub, opened: OpenPlayback, segment: SegmentRow, span: Span, *, keyframe: bool
) -> Response:
    """Return the parts of a span as they lie in the file."""
    path = hub.recordings.path_of(segment)

    def begin() -> tuple[SegmentFile, Sequence[Part], Iterator[bytes], bytes]:
        file = SegmentFile(path)
        try:
            parts = file.span(*span, keyframe=keyframe)
            if not parts:
                raise nothing_there() if file.closed else _cut_off()
            heard = opened.sound and file.sounds
            silent = file.media(parts, sound=False, most=_PIECE)
            pieces = filled(file, parts) if heard else silent
            return file, parts, pieces, next(pieces)
        except BaseException:
            file.close()
            raise

    file, parts, pieces, first = await asyncio.to_thread(begin)

    async def send() -> AsyncIterator[bytes]:
        try:
            found: bytes | None = first
            while found and hub.playback_guard.open(opened.row.id, opened.camera_id):
                yield found
                found = await asyncio.to_thread(next, pieces, None)
        finally:
            file.close()

    headers = _headers(parts[0].starts_at, parts[-1].ends_at, parts[0].decode_time / TIMESCALE)
    kind = f'video/mp4; codecs="{codec_of(opened, segment)}"'
    return StreamingResponse(send(), media_type=kind, headers={**headers, "X-Rendition": "raw"})


async def painted(hub: Hub, opened: OpenPlayback, segment: SegmentRow, span: Span) -> Response:
    """Return a span with the masks that hold now: decoded, painted and encoded in a thread."""
    path, masks = hub.recordings.path_of(segment), read_masks(opened.camera.masks)
    wanted = threading.Event()
    wanted.set()

    def work() -> Media:
        # With OpenCV: only for cameras that have masks, and in the thread that paints.
        from analytics.redaction.paint import mask

        with SegmentFile(path) as file:
            made = masked_media(file, span, masks, mask, wanted.is_set)
            if made is None:
                raise nothing_there() if file.closed else _cut_off()
            return made

    await _painter(hub)
    task = asyncio.ensure_future(asyncio.to_thread(work))
    task.add_done_callback(lambda done: _painter_is_free(hub, done))
    try:
        made = await asyncio.shield(task)
    finally:
        # A browser that has gone elsewhere does not keep a painter.
        wanted.clear()
    await still_so(hub, opened)
    headers = _headers(made.starts_at, made.ends_at, made.media_time)
    return Response(made.data, media_type="video/mp4", headers={**headers, "X-Rendition": "masked"})


async def still_so(hub: Hub, opened: OpenPlayback) -> None:
    """Ask again once a picture is made: its making took a while, and the masks may have changed.

    Raises:
        PlaybackEndedError: it may not be shown any more.
        UnavailableError: code `redaction-away`: it has other masks than the camera has now.
    """
    now = await let_in(hub, opened.row, opened.actor, opened.camera_id)
    if now.camera.masks != opened.camera.masks:
        raise UnavailableError(
            "What may be shown of this camera has just changed.",
            remedy="Try again.",
            code="redaction-away",
        )


async def _painter(hub: Hub) -> None:
    """Wait for a free painter; few at once, so that live views and recording keep their share.

    Raises:
        UnavailableError: code `playback-busy`.
    """
    try:
        async with asyncio.timeout(_WAIT_FOR_PAINTER_S):
            await hub.painters.acquire()
    except TimeoutError:
        raise UnavailableError(
            "Too many recordings with privacy masks are being shown just now.",
            remedy="Try again in a moment.",
            code="playback-busy",
            detail={"retry_after": 2},
        ) from None


def _painter_is_free(hub: Hub, done: "asyncio.Future[Media]") -> None:
    hub.painters.release()
    if not done.cancelled():
        done.exception()  # nobody else looks at it when the browser is gone


def draw(
    files: Sequence[tuple[SegmentRow, Path]],
    at: datetime,
    span: Span,
    masks: tuple[Polygon, ...],
) -> bytes:
    """Return the picture nearest to `at` within `span` as JPEG.

    Raises:
        NotFoundError: code `no-recording`.
        SegmentUnreadableError: what there is cannot be read.
    """
    from analytics.redaction.paint import mask

    begin, end = span
    failure: HubError = nothing_there()

    def away(one: tuple[SegmentRow, Path]) -> timedelta:
        return max(one[0].started_at - at, at - one[0].ends_at, timedelta(0))

    for _, path in sorted(files, key=away)[:_TRIES]:
        try:
            with SegmentFile(path) as file:
                picture = file.keyframe(at)
                if picture.at < begin:
                    picture = file.keyframe(begin, after=True)
                if begin <= picture.at < end:
                    return thumbnails.draw(picture, masks, mask)
        except SegmentUnreadableError as error:
            failure = error
    raise failure


def _headers(starts_at: datetime, ends_at: datetime, media_time: float) -> dict[str, str]:
    return {
        "Cache-Control": "no-store",
        "X-Starts-At": starts_at.astimezone(UTC).isoformat(),
        "X-Ends-At": ends_at.astimezone(UTC).isoformat(),
        "X-Media-Time": f"{media_time:.6f}",
    }


def nothing_there() -> NotFoundError:
    """Return the error of a time without recordings."""
    return NotFoundError(
        "Nothing was recorded there.", remedy="Go to a recorded time.", code="no-recording"
    )


def _cut_off() -> SegmentUnreadableError:
    return SegmentUnreadableError(
        "The recorded file is cut off before this time.",
        remedy="An administrator finds out more with `camera-hub recordings check`.",
    )
