"""Lists of cameras as people and spreadsheets write them."""

import csv
import io
from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_hub.devices.importing import read_list
from camera_hub.devices.recording_plan import RecordingPlan
from camera_hub.devices.recording_text import NotAPlanError, plan_named, plan_text
from core.errors import InvalidInputError
from core.weekly import DAYS, Day

HEADER = "name,area,address,username,password,recording,latitude,signage\n"
GATE = "Gate 1,demo/a,192.168.1.64,viewer,s3cret,event sub,31.2,yes\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_and_delimiters_of_spreadsheets(encoding: str, delimiter: str) -> None:
    text = "名称,区域,地址,用户名,密码,录像\r\n东门,demo/a,192.168.1.64,viewer,密码1,off\r\n"
    (row,) = read_list(text.replace(",", delimiter).encode(encoding))
    assert (row.line, row.name, row.area, row.message) == (2, "东门", "demo/a", "")
    assert row.body is not None
    assert row.body.password.get_secret_value() == "密码1"
    assert row.body.source_kind == "onvif"
    assert row.body.recording is not None
    assert row.body.recording.mode == "off"


def test_a_row_becomes_a_camera() -> None:
    (row,) = read_list((HEADER + GATE).encode())
    body = row.body
    assert body is not None
    assert body.recording is not None
    assert (body.recording.mode, body.recording.role) == ("event", "sub")
    assert (body.latitude, body.signage, body.analyse) == (31.2, True, True)
    (row,) = read_list(
        "名称,地址,analysed_by,收音,收音理由\nGate,192.168.1.64,camera,是,intercom\n".encode()
    )
    assert row.body is not None
    assert (row.body.analysed_by, row.body.sound, row.body.sound_reason) == (
        "camera", True, "intercom",
    )  # fmt: skip
    (row,) = read_list(b"name,address,probe\nYard,rtsp://192.168.1.9/cam,no\n")
    assert row.body is not None
    assert (row.body.source_kind, row.body.probe) == ("rtsp", False)


@pytest.mark.parametrize(
    ("row", "says", "code", "params"),
    [
        (GATE, "Line 2 has the same camera.", "row-doubled", {"line": "2"}),
        (
            GATE.replace("Gate 1", "Gate 2"),
            "Line 2 has the same camera.",
            "row-doubled",
            {"line": "2"},
        ),
        (",demo/a,192.168.1.65,,,,,\n", "name: ", "row-missing", {"column": "name"}),
        ("Gate 2,demo/a,,,,,,\n", "address: ", "row-missing", {"column": "address"}),
        ("Gate 2,demo/a,192.168.1.65,,,sometimes,,\n", "recording: write off", "row-recording", {}),
        (
            "Gate 2,demo/a,192.168.1.65,,,,north,\n",
            "latitude: this is no number",
            "row-number",
            {"column": "latitude"},
        ),
        ("Gate 2,demo/a,192.168.1.65,,,,nan,\n", "latitude: ", "row-range", {"column": "latitude"}),
        ("Gate 2,demo/a,192.168.1.65,,,,91,\n", "latitude: ", "row-range", {"column": "latitude"}),
        (
            "Gate 2,demo/a,192.168.1.65,,,,,perhaps\n",
            "signage: write yes or no",
            "row-flag",
            {"column": "signage"},
        ),
        ("Gate 2,demo/a,192.168.1.65,,,,,,more\n", "more cells", "row-cells", {}),
        (
            f"Gate 2,demo/a,192.168.1.65,,{'s3cret' * 60},,,\n",
            "password: ",
            "row-long",
            {"column": "password"},
        ),
    ],
)
def test_a_row_that_cannot_be_says_why(
    row: str, says: str, code: str, params: dict[str, str]
) -> None:
    good, bad = read_list((HEADER + GATE + "\n,,\n" + row).encode())
    assert good.body is not None
    assert (good.code, dict(good.params)) == ("", {})
    assert bad.body is None
    assert says in bad.message
    assert (bad.code, dict(bad.params)) == (code, params)
    assert "s3cret" not in bad.message


def test_what_may_be_chosen_is_named() -> None:
    (row,) = read_list(b"name,address,transport\nGate,192.168.1.64,pigeon\n")
    assert row.code == "row-choice"
    assert row.params["column"] == "transport"
    assert "multicast" in row.params["choices"]


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("always", "always"),
        ("Off", "off"),
        ("event sub", "event sub"),
        ("always main", "always"),
        ("mon-fri 08:00-18:00; sat 09:00-12:00", "mon-fri 08:00-18:00; sat 09:00-12:00"),
        ("sat,sun 22:00-06:00 sub", "sat,sun 22:00-06:00 sub"),
        ("daily 0:00-24:00", "mon-sun 00:00-00:00"),
        ("mon,wed-fri,sun 8:00-9:30", "mon,wed-fri,sun 08:00-09:30"),
        ("sat-mon 08:00-12:00", "mon,sat,sun 08:00-12:00"),
        ("周一至周五 08：00－18：00；周六 09:00–12:00", "mon-fri 08:00-18:00; sat 09:00-12:00"),
        ("每天 20:00-06:00", "mon-sun 20:00-06:00"),
    ],
)
def test_a_plan_with_hours_fits_into_a_cell_and_comes_back(said: str, text: str) -> None:
    plan = plan_named(said)
    assert plan_text(plan) == text
    assert plan_text(plan_named(text)) == text
    written = io.StringIO()
    csv.writer(written).writerows(
        [["name", "address", "recording"], ["Gate", "192.168.1.64", said]]
    )
    (row,) = read_list(written.getvalue().encode())
    assert row.body is not None
    assert row.body.recording == plan


@pytest.mark.parametrize(
    "said",
    [
        "sub", "always off", "mon", "08:00-18:00", "mon 8-18", "mon 25:00-26:00",
        "mon,mon 08:00-9:00",
        "mon-someday 08:00-09:00", "mon 08:00-09:00 tue", ";", "mon 08:00-09:00; ; nothing",
        "; ".join(f"mon {n // 60:02}:{n % 60:02}-23:00" for n in range(33)), "mon 08:00-09:00 both",
    ],
)  # fmt: skip
def test_what_is_no_plan_is_refused(said: str) -> None:
    with pytest.raises(NotAPlanError):
        plan_named(said)


@given(
    st.lists(
        st.tuples(st.sets(st.sampled_from(DAYS), min_size=1), st.times(), st.times()),
        min_size=1,
        max_size=32,
    ),
    st.sampled_from(["main", "sub"]),
)
def test_every_plan_with_hours_comes_back(
    windows: list[tuple[set[Day], time, time]], role: str
) -> None:
    plan = RecordingPlan.model_validate(
        {
            "mode": "schedule",
            "role": role,
            "schedule": [
                {
                    "days": sorted(days, key=DAYS.index),
                    "from": f"{start:%H:%M}",
                    "to": f"{end:%H:%M}",
                }
                for days, start, end in windows
            ],
        }
    )
    assert plan_named(plan_text(plan)) == plan


def test_a_recorder_has_many_cameras_at_one_address() -> None:
    rows = read_list(
        b"name,address,main_profile\nA,192.168.1.9,ch1\nB,192.168.1.9,ch2\nC,192.168.1.9,ch2\n"
    )
    assert [row.body is not None for row in rows] == [True, True, False]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\x01\x02\xff\xfe",
        b"\xff\xff\xff",
        b"name,area\nGate,demo\n",
        b"name,address,secret\nGate,192.168.1.64,x\n",
        b"name,name,address\nGate,Gate,192.168.1.64\n",
        b'name,address\n"' + b"x" * 200_000 + b"\n",
        b"name,address\n" + b"".join(b"G%d,10.0.0.1:%d\n" % (i, i) for i in range(1, 2003)),
    ],
    ids=["empty", "bytes", "no text", "no address", "unknown", "twice", "huge cell", "too many"],
)
def test_what_is_no_list_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_list(data)
    assert caught.value.code == "invalid-list"
