"""SSRF: an address of a camera never becomes a request to the hub's own machine or its cloud."""

import ipaddress
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from camera_hub.devices.address import parse_address
from camera_hub.devices.probing import Prober
from camera_hub.streams.reach import ANYWHERE, Reach
from camera_hub.streams.reader import ReaderOptions, StreamReader
from camera_hub.streams.types import ReasonCode, StreamSource, StreamState
from core.clock import SystemClock
from core.errors import InvalidInputError
from core.ids import new_id
from core.settings import MediaSettings, ServerSettings, Settings
from tests.support.media import PASSWORD, USERNAME, RtspServer, wait_until

NAME = "camera.rebinding.example"


@pytest.mark.parametrize(
    ("server", "media", "host", "why"),
    [
        ({}, {}, "127.0.0.1:554", ""),
        ({"host": "0.0.0.0"}, {}, "127.0.0.1:554", "this machine itself"),
        ({"public_url": "https://hub.example.org"}, {}, "127.0.0.2:554", "this machine itself"),
        ({"public_url": "https://hub.example.org"}, {}, "[::1]:554", "this machine itself"),
        ({"host": "0.0.0.0"}, {"allow_loopback": True}, "127.0.0.1:554", ""),
        ({}, {"allow_loopback": False}, "127.0.0.1:554", "this machine itself"),
        ({}, {}, "127.0.0.1:8480", "the hub itself"),
        ({}, {}, "[::ffff:127.0.0.1]:8480", "the hub itself"),
        ({}, {"refused_networks": ["10.0.9.0/24"]}, "10.0.9.7:554", "refused_networks"),
        ({}, {"refused_networks": ["10.0.9.0/24"]}, "10.0.8.7:554", ""),
        ({}, {"allow_loopback": True}, "169.254.169.254:80", "link-local"),
        ({}, {"allow_loopback": True}, "100.100.100.200:80", "cloud"),
        ({}, {"allow_loopback": True}, "0.1.2.3:80", "no address of one machine"),
    ],
)
def test_where_a_camera_may_be(
    server: dict[str, Any], media: dict[str, Any], host: str, why: str
) -> None:
    settings = Settings(server=ServerSettings(**server), media=MediaSettings(**media))
    for kind, url in (("rtsp", f"rtsp://{host}/x"), ("onvif", f"http://{host}/x")):
        if not why:
            parse_address(kind, url, Reach.of(settings))
            continue
        with pytest.raises(InvalidInputError) as refused:
            parse_address(kind, url, Reach.of(settings))
        assert why in str(refused.value)


class NameServer:
    """What a hostile name server says of `NAME`: another address each time it is asked.

    It stands in for the network's name service, which is none of ours; who is asked by our own
    code and by the libraries below it, and which address is then dialled, is real.
    """

    def __init__(self, answers: list[str]) -> None:
        self.answers = answers
        self._real = socket.getaddrinfo

    def __call__(self, host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        if host in (NAME, NAME.encode()):
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            host = answer
        return self._real(host, port, *rest, **more)


class Trap:
    """A service of the machine that nobody may reach: it remembers who connected."""

    def __init__(self, port: int) -> None:
        self.visitors = 0
        self._listener = socket.create_server(("127.0.0.2", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                self._listener.accept()[0].close()
            except OSError:
                return
            self.visitors += 1

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def trap(rtsp_server: RtspServer) -> Iterator[Trap]:
    trap = Trap(rtsp_server.port)
    yield trap
    trap.close()


async def test_a_name_is_dialled_at_the_address_that_was_checked(
    rtsp_server: RtspServer, footage: Path, trap: Trap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: good when it is checked, another one when it is dialled."""
    rtsp_server.mount("/cam", footage)
    monkeypatch.setattr(socket, "getaddrinfo", NameServer(["127.0.0.1", "127.0.0.2"]))
    url = rtsp_server.url("/cam").replace("127.0.0.1", NAME).replace("localhost", NAME)
    found = await Prober(SystemClock(), timeout_s=6.0).probe("rtsp", url, USERNAME, PASSWORD)
    assert found.profiles[0].stream_url == url, "the name is kept, it is checked each time"
    assert trap.visitors == 0


async def test_a_name_that_leads_to_a_forbidden_place_is_refused_whatever_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for answer in ("169.254.169.254", "0.0.0.0", "::ffff:169.254.169.254"):
        monkeypatch.setattr(socket, "getaddrinfo", NameServer([answer]))
        prober = Prober(SystemClock(), timeout_s=3.0)
        for kind, url in (("rtsp", f"rtsp://{NAME}/x"), ("onvif", NAME)):
            with pytest.raises(InvalidInputError, match="leads to"):
                await prober.probe(kind, url, "", "")  # type: ignore[arg-type]


async def test_an_onvif_camera_that_moves_between_two_questions_is_left(
    trap: Trap, rtsp_server: RtspServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach = Reach(refused=(ipaddress.ip_network("127.0.0.2/32"),))
    monkeypatch.setattr(socket, "getaddrinfo", NameServer(["127.0.0.2"]))
    with pytest.raises(InvalidInputError, match="refused_networks"):
        await Prober(SystemClock(), timeout_s=3.0, reach=reach).probe(
            "onvif", f"{NAME}:{rtsp_server.port}", "", ""
        )
    assert trap.visitors == 0


def test_a_camera_whose_name_moves_is_not_read_any_more(
    trap: Trap, rtsp_server: RtspServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach = Reach(refused=(ipaddress.ip_network("127.0.0.2/32"),))
    monkeypatch.setattr(socket, "getaddrinfo", NameServer(["127.0.0.2"]))
    source = StreamSource(new_id(), "main", f"rtsp://{NAME}:{rtsp_server.port}/cam", "", "")
    reader = StreamReader(source, clock=SystemClock(), options=ReaderOptions(reach=reach))
    reader.start()
    try:
        wait_until(lambda: reader.status().state is StreamState.NOT_FOUND)
        status = reader.status()
        assert status.reason_code is ReasonCode.ERROR
        assert "refused_networks" in status.reason
    finally:
        reader.stop(5)
    assert trap.visitors == 0


def test_an_unknown_name_stays_unknown() -> None:
    with pytest.raises(OSError):
        ANYWHERE.resolve("no-such-camera.invalid", 554)
    with pytest.raises(OSError):
        ANYWHERE.resolve("a" * 70 + ".example", 554)
