"""What redaction of a stream and of a recording share: pictures that wait for a look, and painting.

A look is one answer of the detector. A picture is covered by what the looks around it show and by
what moves in it; where the looks are too far apart, or of another scene, all of it is blurred.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from analytics.detectors.types import Picture
from analytics.gate.motion import Grey, MotionDetector, gate_size
from analytics.redaction.paint import blur_boxes, blur_whole, mask
from analytics.zones.geometry import Box
from camera_hub.streams.painting import Polygon, Shot

MOST_BETWEEN_LOOKS_S = 0.5
"""Between looks further apart anybody may have come and gone."""

MOVING_MARGIN = 0.015
"""Around what moves, as a share of the picture."""

TRACK_FROM = 0.25
"""Score from which on a detection starts a track; weaker ones go on with it."""

THUMB = (48, 27)
"""Size of the pictures that scenes are compared by."""
# Two pictures are of one scene unless this share of them differs by this much.
_DIFFERS = 28
_OTHER_SCENE = 0.35

Thumb = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Noticed:
    """What is known of a picture without a look: when it is of, and what moves in it."""

    at_s: float
    thumb: Thumb
    moving: tuple[Box, ...]
    turned: bool
    """Most of the picture changed at once."""


@dataclass(slots=True)
class Waiting:
    """A picture that waits for the next look; `since_s` is when it began to, monotonic."""

    shot: Shot
    since_s: float
    noticed: Noticed


@dataclass(slots=True)
class Look:
    """Which picture the detector looked at, and its size there."""

    at_s: float
    thumb: Thumb
    size: tuple[int, int]


class Gatherer:
    """Makes pictures wait: knows what moves in them against those before."""

    def __init__(self) -> None:
        self._motion = MotionDetector()
        self._begun = False

    def wait(self, shot: Shot, since_s: float) -> Waiting:
        """Return the next picture with what moves in it."""
        grey = _grey(shot.picture)
        return Waiting(shot, since_s, self.notice(grey, thumbnail(shot.picture), shot.at_s))

    def notice(self, grey: Grey, thumb: Thumb, at_s: float) -> Noticed:
        """Return what moves in the next picture; `grey` of `gate_size`."""
        motion = self._motion.update(grey, at_s)
        turned = motion.whole_picture and self._begun
        self._begun = True
        return Noticed(at_s, thumb, motion.boxes, turned)


def seen(noticed: Noticed, before: Look | None, after: Look) -> bool:
    """Return whether the looks around a picture are close to it and of the same scene."""
    at_s = noticed.at_s
    if after.at_s == at_s:
        return True
    if noticed.turned or before is None or not before.at_s <= at_s:
        return False
    if after.at_s - before.at_s > MOST_BETWEEN_LOOKS_S:
        return False
    return same_scene(noticed.thumb, after.thumb) or same_scene(noticed.thumb, before.thumb)


def paint(waiting: Waiting, known: Iterable[Box] | None, masks: tuple[Polygon, ...]) -> Shot:
    """Cover `known` and what moves, or all of it where nobody can know; then the masks."""
    shot = waiting.shot
    if known is None:
        blur_whole(shot.picture)
    else:
        blur_boxes(shot.picture, [*known, *map(with_edge, waiting.noticed.moving)])
    mask(shot.picture, masks)
    return shot


def scaled(picture: Picture, size: tuple[int, int]) -> Picture:
    """Return a copy of a picture, of `size` (width, height): it is painted before it is read."""
    height, width = picture.shape[:2]
    if size == (width, height):
        return picture.copy()
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def thumbnail(picture: Picture) -> Thumb:
    """Return a small grey picture to compare scenes by."""
    small = cv2.resize(picture, THUMB, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def same_scene(one: Thumb, other: Thumb) -> bool:
    """Return whether two thumbnails show the same place in about the same light."""
    differs = cv2.absdiff(one, other) > _DIFFERS
    return bool(np.count_nonzero(differs) <= _OTHER_SCENE * one.size)


def _grey(picture: Picture) -> Grey:
    height, width = picture.shape[:2]
    small = cv2.resize(picture, gate_size(width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def with_edge(box: Box) -> Box:
    """Return the box of something that moves, enlarged: its still parts are near."""
    around = MOVING_MARGIN
    return box[0] - around, box[1] - around, box[2] + around, box[3] + around
