"""What cameras say that they see: documents as cameras send them, and as nobody should."""

import dataclasses
import gzip
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camera_hub.simulator import words
from camera_hub.simulator.quirks import Quirk
from camera_hub.streams.metadata import LABELS, LARGEST_BYTES, MetadataReader, SeenFrame
from camera_hub.streams.metadata_document import MOST_FRAMES, MOST_OBJECTS
from tests.support.examples import examples

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NAMESPACE = 'xmlns:tt="http://www.onvif.org/ver10/schema"'
PIXELS = '<tt:Transformation><tt:Translate x="-1" y="1"/><tt:Scale x="0.003125" y="-0.005555555555555556"/></tt:Transformation>'  # noqa: E501 - as a camera of 640x360 sends it


def frame(inside: str, time: str = "2026-11-22T12:00:00Z") -> str:
    return f'<tt:Frame UtcTime="{time}">{inside}</tt:Frame>'


def doc(inside: str) -> bytes:
    return (
        f'<?xml version="1.0"?><tt:MetadataStream {NAMESPACE}><tt:VideoAnalytics>{inside}'
        "</tt:VideoAnalytics></tt:MetadataStream>"
    ).encode()


def thing(
    box: str = 'left="-0.5" top="0.5" right="0" bottom="-0.5"',
    kind: str = '<tt:Type Likelihood="0.8">Human</tt:Type>',
    number: str = ' ObjectId="7"',
    more: str = "",
) -> str:
    return (
        f"<tt:Object{number}><tt:Appearance>{more}<tt:Shape><tt:BoundingBox {box}/></tt:Shape>"
        f"<tt:Class>{kind}</tt:Class></tt:Appearance></tt:Object>"
    )


def read(document: bytes) -> tuple[tuple[SeenFrame, ...] | None, MetadataReader]:
    reader = MetadataReader()
    return reader.read(document, NOW), reader


def only(document: bytes) -> tuple[SeenFrame, MetadataReader]:
    frames, reader = read(document)
    assert frames is not None, reader.refused
    assert len(frames) == 1
    return frames[0], reader


def test_a_box_is_in_fractions_from_the_upper_left() -> None:
    seen, reader = only(doc(frame(thing())))
    assert seen.said_at == NOW
    assert not reader.odd
    assert len(seen.objects) == 1
    found = seen.objects[0]
    assert (found.number, found.label, found.likelihood) == ("7", "person", 0.8)
    assert found.box == pytest.approx((0.25, 0.25, 0.5, 0.75))


@pytest.mark.parametrize("inner", [False, True])
def test_pixels_are_placed_by_the_transformation_of_frame_or_object(inner: bool) -> None:
    box = 'left="160" top="90" right="320" bottom="270"'
    inside = thing(box, more=PIXELS if inner else "")
    seen, reader = only(doc(frame(inside if inner else PIXELS + inside)))
    assert seen.objects[0].box == pytest.approx((0.25, 0.25, 0.5, 0.75))
    assert not reader.odd


def test_nested_transformations_apply_from_the_inside_out() -> None:
    halves = '<tt:Transformation><tt:Scale x="2" y="2"/></tt:Transformation>'
    box = 'left="80" top="45" right="160" bottom="135"'
    seen, _ = only(doc(frame(PIXELS + thing(box, more=halves))))
    assert seen.objects[0].box == pytest.approx((0.25, 0.25, 0.5, 0.75))


@pytest.mark.parametrize(
    ("kind", "label", "likelihood"),
    [
        ('<tt:Type Likelihood="0.9">Human</tt:Type>', "person", 0.9),
        ("<tt:Type>Human</tt:Type>", "person", 1.0),
        ('<tt:Type Likelihood="0.6">Vehicle</tt:Type>', "car", 0.6),
        (
            '<tt:Type Likelihood="0.9">Vehicle</tt:Type><tt:Type Likelihood="0.7">Truck</tt:Type>',
            "truck",
            0.7,
        ),
        (
            "<tt:ClassCandidate><tt:Type>Animal</tt:Type><tt:Likelihood>0.4</tt:Likelihood>"
            "</tt:ClassCandidate><tt:ClassCandidate><tt:Type>Human</tt:Type>"
            "<tt:Likelihood>0.55</tt:Likelihood></tt:ClassCandidate>",
            "person",
            0.55,
        ),
        ('<tt:Type Likelihood="0.5">Bike</tt:Type>', "bicycle", 0.5),
        ('<tt:Type Likelihood="0.5">Bus</tt:Type>', "bus", 0.5),
        ('<tt:Type Likelihood="85">Human</tt:Type>', "person", 0.85),
        ('<tt:Type Likelihood="0.5">Umbrella</tt:Type>', "", 0.5),
        ('<tt:Type Likelihood="NaN">Human</tt:Type>', "", 1.0),
        ("", "", 1.0),
    ],
)
def test_classes_old_and_new_become_our_labels(kind: str, label: str, likelihood: float) -> None:
    seen, _ = only(doc(frame(thing(kind=kind))))
    assert (seen.objects[0].label, seen.objects[0].likelihood) == (label, likelihood)


def test_what_left_and_what_is_renamed_is_told() -> None:
    inside = (
        "<tt:ObjectTree><tt:Delete ObjectId='4'/><tt:Rename><tt:from ObjectId='1'/>"
        "<tt:to ObjectId='2'/></tt:Rename></tt:ObjectTree>"
        "<tt:Object ObjectId='9'><tt:Behaviour><tt:Removed/></tt:Behaviour></tt:Object>"
        "<tt:Object ObjectId='5'/>"
    )
    seen, _ = only(doc(frame(inside)))
    assert seen.gone == ("4", "9")
    assert seen.renamed == (("1", "2"),)
    assert [(one.number, one.box) for one in seen.objects] == [("5", None)]


def test_a_point_is_a_small_box_of_somebody_who_stands() -> None:
    inside = (
        "<tt:Object ObjectId='1'><tt:Appearance><tt:Shape><tt:CenterOfGravity x='0' y='0'/>"
        "</tt:Shape></tt:Appearance></tt:Object>"
    )
    seen, reader = only(doc(frame(inside)))
    assert seen.objects[0].box == pytest.approx((0.49, 0.47, 0.51, 0.53))
    assert reader.odd == {"point": 1}


@pytest.mark.parametrize(
    ("box", "counted", "left"),
    [
        ('left="-0.5" top="0.5" right="NaN" bottom="0"', "not-a-number", None),
        ('left="-0.5" top="0.5" right="1e300" bottom="0"', "not-a-number", None),
        ('left="-0.5" top="0.5" bottom="0"', "not-a-number", None),
        ('left="100" top="100" right="200" bottom="300"', "no-transformation", None),
        ('left="1.1" top="0.5" right="1.4" bottom="0"', "outside", None),
        ('left="0.5" top="0.5" right="1.4" bottom="0"', "clipped", (0.75, 0.25, 1.0, 0.5)),
        ('left="0" top="-0.5" right="-0.5" bottom="0.5"', "turned-box", (0.25, 0.25, 0.5, 0.75)),
        ('left="0" top="0.5" right="0" bottom="0.5"', "no-area", None),
    ],
)
def test_odd_boxes_are_mended_or_left_out_and_counted(
    box: str, counted: str, left: tuple[float, ...] | None
) -> None:
    seen, reader = only(doc(frame(thing(box))))
    assert reader.odd[counted] == 1
    if left is None:
        assert seen.objects == ()
        assert seen.unusable == 1
    else:
        assert seen.objects[0].box == pytest.approx(left)


@pytest.mark.parametrize(
    ("time", "counted", "said_at"),
    [
        ("2026-11-22T20:00:00+08:00", "", NOW),
        ("2026-11-22T12:00:00", "no-time-zone", NOW),
        ("2026-11-22T20:00:01Z", "local-time", NOW + timedelta(hours=8, seconds=1)),
        ("2026-11-22T12:02:00Z", "clock-off", NOW + timedelta(minutes=2)),
        ("yesterday", "no-time", None),
        ("0001-01-01T00:00:00+14:00", "no-time", None),
        ("", "no-time", None),
    ],
)
def test_the_cameras_own_time_is_told_and_never_needed(
    time: str, counted: str, said_at: datetime | None
) -> None:
    seen, reader = only(doc(frame(thing(), time)))
    assert seen.said_at == said_at
    assert dict(reader.odd) == ({counted: 1} if counted else {})
    assert seen.objects


ENTITIES = b'<!DOCTYPE a [<!ENTITY b "ha">]>'


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "not-xml"),
        (b"garbage", "not-xml"),
        (doc(frame(thing()))[:-40], "not-xml"),
        (doc(frame(thing())).replace(b"Human", b"&bad;"), "not-xml"),
        (doc(frame(thing())).replace(b"Human", b"\x00"), "not-xml"),
        (doc("").replace(b"?>", b'?encoding="klingon"?>'), "not-xml"),
        (doc("").replace(b'"1.0"?>', b'"1.0"?>' + ENTITIES), "document-type"),
        (words.document(NOW, (), quirks={Quirk.METADATA_ENTITY_BOMB}), "document-type"),
        (doc("<a>" * 100 + "</a>" * 100), "too-deep"),
        (b"<html><body/></html>", "not-metadata"),
        (b"<a>" + b" " * LARGEST_BYTES + b"</a>", "too-large"),
        (b"\x1f\x8bnonsense", "not-gzip"),
        (gzip.compress(b" " * (LARGEST_BYTES + 1)), "too-large"),
    ],
)
def test_hostile_and_broken_documents_are_refused_and_counted(document: bytes, reason: str) -> None:
    frames, reader = read(document)
    assert frames is None
    assert reader.refused == {reason: 1}
    assert reader.documents == 0


def test_what_is_only_unusual_is_read() -> None:
    plain = doc(frame(thing()))
    wanted = read(plain)[0]
    assert read(plain + b"\x00\n")[0] == wanted
    assert read(b"\xef\xbb\xbf" + plain)[0] == wanted
    assert read(gzip.compress(plain))[0] == wanted
    assert read(plain.decode().replace('"1.0"?>', '"1.0" encoding="utf-16"?>').encode("utf-16"))[
        0
    ] == (wanted)
    older = plain.replace(b"MetadataStream", b"MetaDataStream")
    assert read(older)[0] == wanted
    undeclared = plain.replace(NAMESPACE.encode(), b"")
    frames, reader = read(undeclared)
    assert frames == wanted
    assert reader.odd == {"wrong-namespace": 1}


def test_documents_of_events_say_nothing_and_are_no_fault() -> None:
    document = (
        f'<tt:MetadataStream {NAMESPACE} xmlns:n="http://docs.oasis-open.org/wsn/b-2"><tt:Event>'
        "<n:NotificationMessage><n:Message/></n:NotificationMessage></tt:Event>"
        "</tt:MetadataStream>"
    )
    frames, reader = read(document.encode())
    assert frames == ()
    assert reader.documents == 1
    assert not reader.refused


def test_numbers_of_frames_and_objects_are_bounded() -> None:
    many = "".join(thing(number=f' ObjectId="{n}"') for n in range(MOST_OBJECTS + 5))
    seen, reader = only(doc(frame(many)))
    assert len(seen.objects) == MOST_OBJECTS
    assert reader.odd["objects-left-out"] == 5
    frames, reader = read(doc(frame("") * (MOST_FRAMES + 3)))
    assert frames is not None
    assert len(frames) == MOST_FRAMES
    assert reader.odd["frames-left-out"] == 3


SECRETS = (
    "31", "Female", "Fair", "Red", "B-CH", "4006381333931", "AAQSkZJRg", "calm", "Zhang", "Brand-X",
)  # fmt: skip
PEOPLE = (
    "<tt:Name>Zhang</tt:Name><tt:HumanFace><fc:Age><fc:Min>31</fc:Min></fc:Age>"
    "<fc:Gender>Female</fc:Gender><fc:Complexion>Fair</fc:Complexion></tt:HumanFace>"
    "<tt:HumanBody><bd:Clothing><bd:Color>Red</bd:Color></bd:Clothing></tt:HumanBody>"
    "<tt:LicensePlateInfo><tt:PlateNumber>B-CH 2026</tt:PlateNumber></tt:LicensePlateInfo>"
    "<tt:BarcodeInfo><tt:Data>4006381333931</tt:Data></tt:BarcodeInfo>"
    "<tt:VehicleInfo><tt:Brand>Brand-X</tt:Brand></tt:VehicleInfo>"
    "<tt:Image>/9j/4AAQSkZJRg</tt:Image><tt:Extension><tt:Emotion>calm</tt:Emotion></tt:Extension>"
)


def test_nothing_of_who_somebody_is_gets_into_any_object() -> None:
    face = thing(kind='<tt:Type Likelihood="0.9">HumanFace</tt:Type>', number=' ObjectId="8"')
    plate = thing(kind='<tt:Type Likelihood="0.9">LicensePlate</tt:Type>', number=' ObjectId="9"')
    inside = thing(more=PEOPLE) + PEOPLE + face + plate
    inside += f"<tt:Object ObjectId='3'>{PEOPLE}</tt:Object>"
    seen, reader = only(doc(frame(inside) + PEOPLE))
    assert [one.number for one in seen.objects] == ["7", "3"]
    assert reader.odd["unread-class"] == 2
    said = repr(seen) + repr(reader.odd) + repr(vars(reader))
    assert not [secret for secret in SECRETS if secret in said]
    # There is no place for it either: whoever adds one has to change this line.
    assert [field.name for field in dataclasses.fields(seen.objects[0])] == [
        "number", "box", "label", "likelihood",
    ]  # fmt: skip
    assert not set(LABELS.values()) & {"face", "plate", "man", "woman", "child"}


def test_a_gender_or_an_age_as_a_class_is_no_label() -> None:
    for name in ("Female", "Child", "HumanFace", "Face", "Head", "LicensePlate", "Barcode"):
        seen, _ = only(doc(frame(thing(kind=f'<tt:Type Likelihood="0.9">{name}</tt:Type>'))))
        assert all(one.label == "" for one in seen.objects)


PIECES = st.sampled_from(
    [
        "<tt:Frame>", "</tt:Frame>", "<tt:Object ObjectId='1'>", "</tt:Object>", "<tt:Appearance>",
        "</tt:Appearance>", "<tt:Shape>", "</tt:Shape>", "<tt:BoundingBox left='0' top='9'/>",
        "<tt:Class>", "</tt:Class>", "<tt:Type>", "Human", "</tt:Type>", "<tt:ObjectTree>",
        "</tt:ObjectTree>", "<tt:Delete/>", "<tt:to/>", "<tt:Likelihood>", "x", "&#0;", "<!--",
        "<tt:Scale x='0' y='-1'/>", "<tt:Transformation>", "</tt:Transformation>", "<![CDATA[",
    ]
)  # fmt: skip


@given(st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=40).map("".join)))
@settings(max_examples=examples(150), deadline=None)
def test_whatever_comes_is_read_or_refused(said: bytes | str) -> None:
    document = said if isinstance(said, bytes) else doc(said)
    frames, reader = read(document)
    assert (frames is None) == bool(reader.refused)
    for seen in frames or ():
        for one in seen.objects:
            if one.box is not None:
                x1, y1, x2, y2 = one.box
                assert 0 <= x1 < x2 <= 1
                assert 0 <= y1 < y2 <= 1


@given(
    st.lists(
        st.tuples(st.floats(-3, 3), st.floats(-3, 3), st.floats(0.01, 2), st.floats(0.01, 2)),
        max_size=5,
    )
)
@settings(max_examples=examples(60), deadline=None)
def test_boxes_are_always_in_the_picture(places: list[tuple[float, float, float, float]]) -> None:
    told = [
        words.Told(n, "Human", (x, y, x + width, y + height))
        for n, (x, y, width, height) in enumerate(places)
    ]
    frames, _ = read(words.document(NOW, told))
    assert frames is not None
    for one in frames[0].objects:
        assert one.box is not None
        assert all(0 <= value <= 1 for value in one.box)
