"""What may be entered as a camera's address, and what may not."""

import ipaddress

import pytest

from camera_hub.devices.address import parse_address
from camera_hub.streams.reach import ANYWHERE, never_a_camera
from core.errors import InvalidInputError


@pytest.mark.parametrize(
    ("kind", "entered", "host", "port", "url", "text"),
    [
        ("onvif", "10.0.0.5", "10.0.0.5", 80, "http://10.0.0.5/onvif/device_service", "10.0.0.5"),
        (
            "onvif",
            " 127.0.0.1:8899 ",
            "127.0.0.1",
            8899,
            "http://127.0.0.1:8899/onvif/device_service",
            "127.0.0.1:8899",
        ),
        (
            "onvif",
            "Gate-3.local",
            "gate-3.local",
            80,
            "http://Gate-3.local/onvif/device_service",
            "Gate-3.local",
        ),
        (
            "onvif",
            "2001:db8::7",
            "2001:db8::7",
            80,
            "http://[2001:db8::7]/onvif/device_service",
            "[2001:db8::7]",
        ),
        (
            "onvif",
            "[::1]:81",
            "::1",
            81,
            "http://[::1]:81/onvif/device_service",
            "[::1]:81",
        ),
        (
            "onvif",
            "https://cam/custom/path?x=1",
            "cam",
            443,
            "https://cam/custom/path?x=1",
            "https://cam/custom/path?x=1",
        ),
        (
            "onvif",
            "http://cam:8080/",
            "cam",
            8080,
            "http://cam:8080/onvif/device_service",
            "http://cam:8080/",
        ),
        (
            "rtsp",
            "rtsp://10.0.0.5/cam/realmonitor?channel=1&subtype=0",
            "10.0.0.5",
            554,
            "rtsp://10.0.0.5/cam/realmonitor?channel=1&subtype=0",
            "rtsp://10.0.0.5/cam/realmonitor?channel=1&subtype=0",
        ),
        ("rtsp", "rtsps://cam/1", "cam", 322, "rtsps://cam/1", "rtsps://cam/1"),
    ],
)
def test_an_address_is_taken_apart(
    kind: str, entered: str, host: str, port: int, url: str, text: str
) -> None:
    camera = parse_address(kind, entered)
    assert (camera.host, camera.port, camera.url, camera.text) == (host, port, url, text)
    assert (camera.username, camera.password) == ("", "")


@pytest.mark.parametrize(
    ("kind", "entered"),
    [
        ("rtsp", "rtsp://ad%40min:p%40ss%3Aw%2Frd@10.0.0.5:8554/live"),
        ("onvif", "http://ad%40min:p%40ss%3Aw%2Frd@10.0.0.5:8554/live"),
    ],
)
def test_credentials_in_an_address_are_split_off_and_decoded(kind: str, entered: str) -> None:
    camera = parse_address(kind, entered)
    assert (camera.username, camera.password) == ("ad@min", "p@ss:w/rd")
    assert camera.url.endswith("://10.0.0.5:8554/live")
    for shown in (camera.url, camera.text, repr(camera)):
        assert "p@ss" not in shown
        assert "p%40ss" not in shown


def test_credentials_before_a_bare_host_are_split_off() -> None:
    camera = parse_address("onvif", "admin:p@ss@10.0.0.5:80")
    assert (camera.username, camera.password) == ("admin", "p@ss")
    assert camera.text == "10.0.0.5:80"


@pytest.mark.parametrize(
    ("kind", "entered"),
    [
        ("onvif", ""),
        ("onvif", "   "),
        ("onvif", ":80"),
        ("onvif", "http://"),
        ("onvif", "http:///onvif"),
        ("onvif", "10.0.0.5:0"),
        ("onvif", "10.0.0.5:65536"),
        ("onvif", "10.0.0.5:http"),
        ("onvif", "10.0.0.5/onvif/device_service"),
        ("onvif", "10.0.0.999"),
        ("onvif", "0x7f.1"),
        ("onvif", "2852039166"),
        ("onvif", "[64:ff9b::a9fe:a9fe]"),
        ("onvif", "100.100.100.200"),
        ("onvif", "[fd00:ec2::254]"),
        ("onvif", "cam;reboot"),
        ("onvif", "$(reboot)"),
        ("onvif", "`reboot`"),
        ("onvif", "cam reboot"),
        ("onvif", "-oProxyCommand=x"),
        ("onvif", "cam\nHost: other"),
        ("onvif", "cam\x00"),
        ("onvif", "http://cam/\x7f"),
        ("onvif", "http://cam/a|b"),
        ("onvif", "http://cam/#part"),
        ("onvif", "http://[::1"),
        ("onvif", "http://[fe80::1%25eth0]/"),
        ("onvif", "ftp://cam/"),
        ("onvif", "rtsp://cam/live"),
        ("onvif", "file:///etc/passwd"),
        ("onvif", "x" * 501),
        ("rtsp", "cam"),
        ("rtsp", "cam:554"),
        ("rtsp", "http://cam/live"),
        ("rtsp", "file:///etc/passwd"),
        ("rtsp", "concat:rtsp://cam/a"),
        ("rtsp", "subfile,,start,0,end,9,,:rtsp://cam/a"),
        ("rtsp", "RTSP:///live"),
        ("rtsp", "rtsp://admin:se/cret@cam/live"),
        ("telepathy", "cam"),
    ],
)
def test_what_is_no_address_of_a_camera_is_refused(kind: str, entered: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_address(kind, entered)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "[2002:a9fe:a9fe::]",
        "0.0.0.0",
        "[::]",
        "224.0.0.1",
        "255.255.255.255",
    ],
)
def test_an_address_that_no_camera_has_is_refused(host: str) -> None:
    with pytest.raises(InvalidInputError, match=r"address"):
        parse_address("onvif", f"http://{host}/")
    with pytest.raises(InvalidInputError, match=r"address"):
        parse_address("rtsp", f"rtsp://{host}/")


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "192.168.1.9", "fd00::5", "8.8.8.8"])
def test_private_loopback_and_public_addresses_are_allowed(host: str) -> None:
    assert never_a_camera(ipaddress.ip_address(host)) == ""


def test_another_way_of_writing_a_forbidden_address_is_found_when_it_is_resolved() -> None:
    with pytest.raises(InvalidInputError, match=r"169\.254\.169\.254"):
        ANYWHERE.resolve("2852039166", 80)
