"""Lists of cameras as people and spreadsheets write them."""

import pytest

from camera_hub.devices.importing import read_list
from core.errors import InvalidInputError

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
    (row,) = read_list(b"name,address,probe\nYard,rtsp://192.168.1.9/cam,no\n")
    assert row.body is not None
    assert (row.body.source_kind, row.body.probe) == ("rtsp", False)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (GATE, "Line 2 has the same camera."),
        (GATE.replace("Gate 1", "Gate 2"), "Line 2 has the same camera."),
        (",demo/a,192.168.1.65,,,,,\n", "name: "),
        ("Gate 2,demo/a,,,,,,\n", "address: "),
        ("Gate 2,demo/a,192.168.1.65,,,sometimes,,\n", "recording: write off"),
        ("Gate 2,demo/a,192.168.1.65,,,,north,\n", "latitude: this is no number"),
        ("Gate 2,demo/a,192.168.1.65,,,,nan,\n", "latitude: "),
        ("Gate 2,demo/a,192.168.1.65,,,,,perhaps\n", "signage: write yes or no"),
        ("Gate 2,demo/a,192.168.1.65,,,,,,more\n", "more cells"),
        (f"Gate 2,demo/a,192.168.1.65,,{'s3cret' * 60},,,\n", "password: "),
    ],
)
def test_a_row_that_cannot_be_says_why(row: str, says: str) -> None:
    good, bad = read_list((HEADER + GATE + "\n,,\n" + row).encode())
    assert good.body is not None
    assert bad.body is None
    assert says in bad.message
    assert "s3cret" not in bad.message


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
