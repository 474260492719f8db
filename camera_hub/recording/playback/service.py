"""Decisions on playbacks: whose they are, how long they live, which segments lie within them.

Whether somebody may look at all is the door's to say (`api.looking`); here stands what holds for
everybody: a playback belongs to one sign-in and shows nothing outside of its span and cameras.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.types import Actor
from camera_hub.recording.index import repository as index
from camera_hub.recording.index.models import Playback
from camera_hub.recording.index.schemas import SegmentRow
from camera_hub.recording.index.service import Recordings
from camera_hub.recording.playback import repository
from camera_hub.recording.playback.schemas import PlaybackCreate
from camera_hub.streams.painting import Rendition
from core.clock import Clock
from core.errors import ForbiddenError, HubError, InvalidInputError, NotFoundError
from core.ids import new_id

UNUSED = timedelta(minutes=10)
"""A playback that was not asked for anything for so long is over."""
LONGEST_LIST = timedelta(hours=26)
"""The longest span whose segments are listed at once: a day, and its edges."""
_USE_EVERY = timedelta(seconds=30)


class PlaybackEndedError(HubError):
    """The playback is over (410)."""

    status = 410
    code = "playback-ended"

    def __init__(self) -> None:
        super().__init__("This playback is over.", remedy="Open the recordings again.")


class Playbacks:
    """Makes, finds and ends playbacks; the caller commits."""

    def __init__(self, clock: Clock, recordings: Recordings) -> None:
        self._clock = clock
        self._recordings = recordings

    async def begin(
        self,
        session: AsyncSession,
        actor: Actor,
        wish: PlaybackCreate,
        *,
        purpose: str,
        reference: str,
        cameras: Sequence[tuple[UUID, UUID, Rendition, bool]],
    ) -> Playback:
        """Write that `actor` plays back.

        Args:
            session: the transaction that holds the view records as well.
            actor: who.
            wish: what was asked for.
            purpose: a key of `access.views.purposes`, or "".
            reference: what it refers to.
            cameras: camera, its view record and rendition, and whether it is heard too.

        Raises:
            ForbiddenError: the actor is not signed in as an account.
        """
        if actor.id is None or actor.session_id is None:
            raise ForbiddenError("Recordings are shown to signed-in accounts only.")
        now = self._clock.now()
        row = Playback(
            id=new_id(),
            account_id=actor.id,
            session_id=actor.session_id,
            purpose=purpose,
            reference=reference,
            from_at=wish.from_at,
            to_at=wish.to_at,
            cameras=[
                {
                    "camera_id": str(camera),
                    "view_id": str(view),
                    "rendition": rendition,
                    "sound": sound,
                }
                for camera, view, rendition, sound in cameras
            ],
            created_at=now,
            last_used_at=now,
        )
        await repository.add(session, row)
        return row

    async def get(self, session: AsyncSession, playback_id: UUID, actor: Actor) -> Playback:
        """Return a playback that `actor` has open in this sign-in.

        Raises:
            NotFoundError: there is none, or it is somebody else's.
            PlaybackEndedError: it is over.
        """
        row = await repository.by_id(session, playback_id)
        if row is None or not _belongs(row, actor):
            raise NotFoundError("There is no such playback.", remedy="Open the recordings again.")
        if row.ended_at is not None or row.last_used_at <= self._clock.now() - UNUSED:
            raise PlaybackEndedError
        return row

    def needs_touch(self, row: Playback) -> bool:
        """Say whether its use is to be written down again."""
        return row.last_used_at <= self._clock.now() - _USE_EVERY

    async def touch(self, session: AsyncSession, playback_id: UUID) -> None:
        """Write that it is in use."""
        row = await repository.by_id_locked(session, playback_id)
        if row is not None and row.ended_at is None:
            row.last_used_at = self._clock.now()

    async def begin_thumbnails(
        self, session: AsyncSession, playback_id: UUID, camera_id: UUID
    ) -> bool:
        """Say whether the first thumbnail of this camera is about to leave; only once it is.

        The caller writes the view record in the same transaction.
        """
        row = await repository.by_id_locked(session, playback_id)
        if row is None or row.ended_at is not None:
            raise PlaybackEndedError
        shown = camera_of(row, camera_id)
        if shown.get("thumbnails"):
            return False
        row.cameras = [{**one, "thumbnails": True} if one is shown else one for one in row.cameras]
        await session.flush()
        return True

    async def end(
        self, session: AsyncSession, playback_id: UUID, camera_ids: Sequence[UUID] | None = None
    ) -> list[UUID]:
        """End a playback, or some of its cameras; return the view records to close now.

        With its last camera the playback is over. A second call returns nothing.
        """
        row = await repository.by_id_locked(session, playback_id)
        if row is None or row.ended_at is not None:
            return []
        chosen = None if camera_ids is None else {str(one) for one in camera_ids}
        over = [
            one
            for one in row.cameras
            if not one.get("ended") and (chosen is None or one["camera_id"] in chosen)
        ]
        row.cameras = [{**one, "ended": True} if one in over else one for one in row.cameras]
        if all(one.get("ended") for one in row.cameras):
            row.ended_at = self._clock.now()
        await session.flush()
        return [UUID(one["view_id"]) for one in over]

    async def unused(self, session: AsyncSession) -> Sequence[UUID]:
        """Return the playbacks that were left without an end."""
        return await repository.open_ones(session, self._clock.now() - UNUSED)

    async def left_open(self, session: AsyncSession) -> Sequence[UUID]:
        """Return every playback without an end: at the start of the only API they are over."""
        return await repository.open_ones(session, None)

    async def segments(
        self, session: AsyncSession, row: Playback, camera_id: UUID, start: datetime, end: datetime
    ) -> list[SegmentRow]:
        """Return the segments of a camera in [start, end), in order of time.

        Raises:
            InvalidInputError: `outside-playback`, or `span-too-long`.
            NotFoundError: the camera is not played back here.
        """
        camera_of(row, camera_id)
        check_within(row, start, end)
        if end - start > LONGEST_LIST:
            raise InvalidInputError(
                "So many segments are not listed at once.",
                remedy=f"Ask for {LONGEST_LIST.total_seconds() / 3600:.0f} hours at most.",
                code="span-too-long",
            )
        return await self._recordings.segments(session, camera_id, start, end)

    async def segment(self, session: AsyncSession, row: Playback, segment_id: UUID) -> SegmentRow:
        """Return a segment that lies, at least in part, within the playback.

        Raises:
            NotFoundError: it does not, or is gone.
        """
        found = (await index.by_ids(session, [segment_id])).get(segment_id)
        if found is None or found.deleting:
            raise _no_such_segment()
        known = any(one["camera_id"] == str(found.camera_id) for one in row.cameras)
        if not known or found.started_at >= row.to_at or found.ends_at <= row.from_at:
            raise _no_such_segment()
        return found


def camera_of(row: Playback, camera_id: UUID) -> dict[str, object]:
    """Return what a playback says of one of its cameras.

    Raises:
        NotFoundError: it does not play that camera back.
        PlaybackEndedError: not any more.
    """
    for one in row.cameras:
        if one["camera_id"] == str(camera_id):
            if one.get("ended"):
                raise PlaybackEndedError
            return one
    raise NotFoundError(
        "This camera is not part of the playback.", remedy="Open the recordings again with it."
    )


def hour_of(row: Playback, at: datetime) -> tuple[datetime, datetime] | None:
    """Return what of the hour (UTC) that `at` lies in belongs to the playback; None: nothing."""
    begin = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    start, end = max(row.from_at, begin), min(row.to_at, begin + timedelta(hours=1))
    return (start, end) if start < end else None


def check_within(row: Playback, start: datetime, end: datetime | None = None) -> None:
    """Refuse a span, or a moment, that was not asked for when the playback began.

    Raises:
        InvalidInputError: `outside-playback`.
    """
    until = row.to_at if end is None else end
    if not row.from_at <= start < until <= row.to_at:
        raise InvalidInputError(
            "The span does not lie within that of the playback.",
            remedy="Open the recordings again for the span that is needed.",
            code="outside-playback",
        )


def _belongs(row: Playback, actor: Actor) -> bool:
    return (row.account_id, row.session_id) == (actor.id, actor.session_id)


def _no_such_segment() -> NotFoundError:
    return NotFoundError(
        "There is no such segment in this playback.", remedy="Ask for the segments again."
    )
