"""Objects that a camera tells of, followed while they are in view."""

from typing import Any

from analytics.tracking.follower import GONE_AFTER_S, MOST, Follower
from camera_hub.streams.metadata import SeenFrame, SeenObject
from tests.analytics.telling import INSIDE


def seen(
    *objects: SeenObject, gone: tuple[str, ...] = (), renamed: tuple[tuple[str, str], ...] = ()
) -> SeenFrame:
    return SeenFrame(None, objects, gone, renamed)


def one(number: str, label: str = "person", box: Any = INSIDE) -> SeenObject:
    return SeenObject(number, box, label, 0.9)


def test_a_track_lives_as_long_as_the_object_is_in_view() -> None:
    follower = Follower(0.4)
    assert [found.track for found in follower.take([seen(one("5"))], 0.0)] == [None]
    first = follower.take([seen(one("5"))], 0.2)[0].track
    assert first is not None
    assert follower.take([seen(one("5"))], 0.2 + GONE_AFTER_S - 0.1)[0].track == first
    # The number of one that has left may be given to somebody else.
    follower.take([seen(one("5"))], 20.0)
    later = follower.take([seen(one("5"))], 20.2)[0].track
    assert later not in (None, first)
    follower.take([seen(gone=("5",))], 20.4)
    follower.take([seen(one("5"))], 20.6)
    assert follower.take([seen(one("5"))], 20.8)[0].track not in (first, later)


def test_a_renamed_object_is_the_same() -> None:
    follower = Follower(0.4)
    follower.take([seen(one("5"))], 0.0)
    before = follower.take([seen(one("5"))], 0.2)[0].track
    after = follower.take([seen(one("6"), renamed=(("5", "6"),))], 0.4)
    assert [found.track for found in after] == [before]


def test_what_a_camera_leaves_out_is_as_it_was() -> None:
    follower = Follower(0.4)
    follower.take([seen(one("5"))], 0.0)
    bare = SeenObject("5", None, "", 1.0)
    found = follower.take([seen(bare)], 0.2)
    assert [(item.label, item.box, item.confidence) for item in found] == [("person", INSIDE, 0.9)]
    assert follower.take([seen(SeenObject("9", None, "", 1.0))], 0.4) == []


def test_objects_without_numbers_are_followed_by_their_boxes() -> None:
    follower = Follower(0.4)
    tracks = []
    for step in range(6):
        box = (0.1 + step / 100, 0.2, 0.2 + step / 100, 0.6)
        found = follower.take([seen(one("", box=box), one("1"))], step * 0.2)
        tracks.append({item.track for item in found})
    assert len(tracks[-1]) == 2
    assert tracks[-1] == tracks[-2]
    assert any(track is not None and track < 0 for track in tracks[-1])


# --- the host: silence, and nothing decoded ---


def test_a_camera_that_tells_of_thousands_is_followed_for_as_many_as_there_is_room() -> None:
    follower = Follower(0.5)
    crowd = [SeenFrame(None, tuple(one(f"{n}-{k}") for k in range(256))) for n in range(40)]
    for at_s in (1.0, 1.2, 1.4):
        assert len(follower.take(crowd, at_s)) == MOST
    assert len(follower.take([SeenFrame(None, (one("late"),))], 1.6)) == 1
