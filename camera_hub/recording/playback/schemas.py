"""Playback on the wire."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from camera_hub.streams.painting import Rendition

LONGEST = timedelta(days=32)
"""The longest span that one playback may cover."""
MOST_CAMERAS = 4
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)

Word = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]


class PlaybackCreate(BaseModel):
    """What somebody wants to play back, and what for: a key of /purposes and its reference.

    The household itself needs no purpose for its own home. `at` is where it begins to be shown:
    with it the answer holds the recorded files of that hour (UTC), which saves asking for them.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    camera_ids: list[UUID] = Field(min_length=1, max_length=MOST_CAMERAS)
    from_at: AwareDatetime = Field(alias="from")
    to_at: AwareDatetime = Field(alias="to")
    at: AwareDatetime | None = None
    purpose: Annotated[str, StringConstraints(max_length=40)] = ""
    reference: Word = ""
    sound: bool = False

    @model_validator(mode="after")
    def _coherent(self) -> "PlaybackCreate":
        if not timedelta(0) < self.to_at - self.from_at <= LONGEST:
            raise ValueError(f"to must lie after from, at most {LONGEST.days} days")
        if not _FIRST <= self.from_at < self.to_at <= _LAST:
            raise ValueError("from and to lie between the years 2000 and 2200")
        if len(set(self.camera_ids)) < len(self.camera_ids):
            raise ValueError("a camera is named twice")
        return self


class PlaybackSegment(BaseModel):
    """A recorded file of a playback. `codec` (RFC 6381), `width` and `height` as they leave.

    `sound`: with a track of sound, which `codec` names then. `has_sound`: it was recorded with
    sound, which leaves only where a playback asked for it.

    `bytes` is the size of the file; `cause` and `clock` as recorded.
    """

    id: UUID
    camera_id: UUID
    started_at: datetime
    ends_at: datetime
    codec: str
    width: int
    height: int
    sound: bool
    has_sound: bool
    bytes: int
    cause: str
    clock: str
    motion: str


class PlaybackCamera(BaseModel):
    """A camera of a playback. `masked`: its pictures come painted, at most 12 a second.

    `sound`: what was recorded of it is heard too; never of painted pictures. `may_listen`: the one
    who asked may have it with sound.

    `segments` are the recorded files of the hour that was asked for with `at`, as
    `GET /playbacks/{id}/segments` tells them; null without `at`.
    """

    camera_id: UUID
    rendition: Rendition
    sound: bool
    may_listen: bool
    segments: list[PlaybackSegment] | None = None


class PlaybackOut(BaseModel):
    """A playback. It ends by DELETE, with the session, or when it was unused for ten minutes."""

    model_config = ConfigDict(populate_by_name=True)

    id: UUID
    from_at: datetime = Field(alias="from")
    to_at: datetime = Field(alias="to")
    purpose: str
    reference: str
    cameras: list[PlaybackCamera]
