"""Finding cameras: by multicast on loopback, and by asking every address of a range."""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import ValidationError

from camera_hub.devices import discovery
from camera_hub.devices.discoveries import Discoveries, _found, _without_doubles
from camera_hub.devices.discovery import Heard
from camera_hub.devices.discovery_schemas import DiscoveryOut, DiscoveryRequest, FoundOut
from camera_hub.simulator.discovery import DiscoveryResponder
from camera_hub.simulator.onvif import OnvifDevice, Quirk
from camera_hub.simulator.onvif_xml import Identity, StreamProfile
from camera_hub.streams.reach import Reach
from core.clock import SystemClock
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.ids import new_id
from tests.support.waiting import until

CLOCK = SystemClock()
PASSWORD = "s3cret-of-the-search"
STREAM = StreamProfile("one", "rtsp://127.0.0.1:8554/one", 1280, 720, 25, 2000, 25)


@pytest.fixture
async def devices() -> AsyncIterator[list[OnvifDevice]]:
    made = [
        OnvifDevice(
            [STREAM], username="viewer", password=PASSWORD, clock=CLOCK,
            identity=Identity("Acme", f"Dome {number}", "2.1", f"A-{number}"),
        )
        for number in range(3)
    ]  # fmt: skip
    for device in made:
        await device.start()
    yield made
    for device in made:
        await device.close()


@pytest.fixture
async def responder(devices: list[OnvifDevice]) -> AsyncIterator[DiscoveryResponder]:
    # A port of its own: other tests may run beside this one.
    responder = DiscoveryResponder(lambda: devices, port=0)
    await responder.start()
    yield responder
    await responder.close()


async def search(reach: Reach | None = None, **request: Any) -> DiscoveryOut:
    jobs = Discoveries(CLOCK, reach or Reach(), listen_s=0.6, ask_s=1.0)
    body = {"multicast": False, "rtsp_ports": [], **request}
    job = jobs.begin(DiscoveryRequest.model_validate(body))
    await jobs.wait(job.id)
    return jobs.read(job.id, {})


def by_port(out: DiscoveryOut) -> dict[int, FoundOut]:
    return {int(one.address.rpartition(":")[2].strip("/")): one for one in out.found}


async def test_cameras_answer_a_call_by_multicast(
    devices: list[OnvifDevice], responder: DiscoveryResponder
) -> None:
    out = await search(
        multicast=True, interface="127.0.0.1", discovery_port=responder.port,
        username="viewer", password=PASSWORD,
    )  # fmt: skip
    assert out.state == "done"
    found = by_port(out)
    assert set(found) == {device.port for device in devices}
    for device in devices:
        one = found[device.port]
        assert one.address == device.address, "as it is entered to add it"
        assert (one.state, one.manufacturer, one.model) == (
            "identified", "Acme", device.identity.model,
        )  # fmt: skip
        assert one.name == "Acme"


async def test_cameras_of_a_range_answer_a_question_that_is_sent_to_each(
    devices: list[OnvifDevice], responder: DiscoveryResponder
) -> None:
    # None of their ports is tried: they are found by what they answer.
    out = await search(ranges=["127.0.0.1/32"], ports=[1], discovery_port=responder.port)
    assert set(by_port(out)) == {device.port for device in devices}
    assert {one.state for one in out.found} == {"found"}


def test_cameras_answer_over_ipv6_where_there_is_no_ipv4() -> None:
    alone = ["unshare", "--user", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody make a network namespace")
    child = subprocess.run(
        [*alone, sys.executable, "-m", "tests.support.discovery_site"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert child.returncode == 0, child.stderr
    found = json.loads(child.stdout.splitlines()[-1])
    # Link-local addresses are asked from by nobody, and what answers from one is left out.
    assert found["interfaces"] == ["fd00:1::1"]
    assert found["called"] == found["named"] == [f"[fd00:1::1]:{found['port']}"]


def test_a_device_that_answers_over_both_protocols_is_one() -> None:
    found = {
        place: _found(Heard("onvif", *place), "found")
        for place in (("10.0.0.1", 80), ("fd00::1", 80), ("fd00::2", 80), ("fd00::3", 80))
    }
    devices = {
        ("10.0.0.1", 80): "urn:uuid:1", ("fd00::1", 80): "urn:uuid:1",
        ("fd00::2", 80): "urn:uuid:2", ("fd00::3", 80): "",
    }  # fmt: skip
    assert list(_without_doubles(found, devices)) == [
        ("10.0.0.1", 80), ("fd00::2", 80), ("fd00::3", 80),
    ]  # fmt: skip
    assert found["fd00::2", 80].address == "[fd00::2]:80"


@pytest.mark.parametrize("interface", ["eth0", "fe80::1%eth0", "192.168.1.0/24"])
def test_an_interface_is_named_by_an_address(interface: str) -> None:
    with pytest.raises(ValidationError):
        DiscoveryRequest(interface=interface)


async def test_without_an_account_none_is_sent(
    devices: list[OnvifDevice], responder: DiscoveryResponder
) -> None:
    out = await search(multicast=True, interface="127.0.0.1", discovery_port=responder.port)
    assert {one.state for one in out.found} == {"found"}
    assert {one.model for one in out.found} == {"Dome 0", "Dome 1", "Dome 2"}, "from the answer"


async def test_a_wrong_account_is_told(
    devices: list[OnvifDevice], responder: DiscoveryResponder
) -> None:
    out = await search(
        multicast=True, interface="127.0.0.1", discovery_port=responder.port,
        username="viewer", password="wrong",
    )  # fmt: skip
    assert {one.state for one in out.found} == {"refused"}
    assert all(one.clock_offset_s is not None for one in out.found), "the clock needs no account"
    assert "wrong" not in out.model_dump_json()


async def test_who_does_not_say_what_it_is_is_not_identified(
    devices: list[OnvifDevice], responder: DiscoveryResponder
) -> None:
    devices[0].quirks = {Quirk.HTTP_500_INSTEAD_OF_FAULT}
    out = await search(
        multicast=True, interface="127.0.0.1", discovery_port=responder.port,
        username="viewer", password="wrong",
    )  # fmt: skip
    assert by_port(out)[devices[0].port].state in ("found", "refused")


async def test_the_place_is_where_the_answer_came_from_and_garbage_is_left_out(
    devices: list[OnvifDevice], responder: DiscoveryResponder
) -> None:
    devices[0].quirks = {Quirk.XADDR_OF_OTHER_HOST}
    devices[1].quirks = {Quirk.DISCOVERY_GARBAGE}
    out = await search(multicast=True, interface="127.0.0.1", discovery_port=responder.port)
    assert [one.address for one in out.found] == sorted([devices[0].address, devices[2].address])


async def test_a_range_is_asked_address_by_address(devices: list[OnvifDevice]) -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    ports = [device.port for device in devices] + [silent.getsockname()[1]]
    devices[1].quirks = {Quirk.NOT_A_CAMERA}
    try:
        out = await search(ranges=["127.0.0.1/32"], ports=ports)
    finally:
        silent.close()
    assert set(by_port(out)) == {devices[0].port, devices[2].port}
    assert (out.done, out.total) == (1, 1)


async def test_a_camera_that_knows_rtsp_only_is_found() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    out = await search(ranges=["127.0.0.1"], ports=[port], rtsp_ports=[port])
    server.close()
    assert [(one.source_kind, one.address) for one in out.found] == [
        ("rtsp", f"rtsp://127.0.0.1:{port}/")
    ]


@pytest.mark.parametrize(
    "given",
    [
        "8.8.8.0/24",
        "10.0.0.0/8",
        "169.254.0.0/24",
        "2001:db8::/64",
        "camera.lan",
        "10.0.0.0/33",
        "10.0.0.9-10.0.0.3",
        "10.0.0.9-",
        "10.255.255.250-11.0.0.3",
        "",
    ],
)
def test_only_ranges_of_private_networks_are_searched(given: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        discovery.addresses_of([given], Reach())
    assert caught.value.code == "invalid-range"


@pytest.mark.parametrize("given", ["10.0.0.9-10.0.0.12", " 10.0.0.9 - 12 ", "10.0.0.9-12"])
def test_a_range_may_be_its_first_and_last_address(given: str) -> None:
    expected = ["10.0.0.9", "10.0.0.10", "10.0.0.11", "10.0.0.12"]
    assert discovery.addresses_of([given], Reach()) == expected


def test_refused_networks_are_left_out_and_ranges_counted_together() -> None:
    import ipaddress

    reach = Reach(refused=(ipaddress.ip_network("10.0.0.0/25"),), loopback=False)
    assert discovery.addresses_of(["10.0.0.126/31", "127.0.0.0/30"], reach) == []
    assert len(discovery.addresses_of(["10.0.0.0/24"], reach)) == 127
    assert len(discovery.addresses_of(["10.1.0.0/20"], reach)) == 4094
    with pytest.raises(InvalidInputError):
        discovery.addresses_of(["10.1.0.0/20", "10.2.0.0/24"], reach)


async def test_a_search_is_broken_off_and_is_alone() -> None:
    jobs = Discoveries(CLOCK, Reach(), listen_s=0.3)
    request = DiscoveryRequest(multicast=False, ranges=["127.9.0.0/24"], ports=[1, 2, 3])
    job = jobs.begin(request)
    with pytest.raises(ConflictError):
        jobs.begin(request)
    await jobs.cancel(job.id)
    assert jobs.read(job.id, {}).state == "cancelled"
    with pytest.raises(NotFoundError):
        jobs.read(new_id(), {})
    jobs.begin(request)
    await jobs.close()


async def test_progress_is_told() -> None:
    jobs = Discoveries(CLOCK, Reach(), listen_s=0.3)
    request = DiscoveryRequest(multicast=False, ranges=["127.9.0.0/29"], ports=[1], rtsp_ports=[])
    job = jobs.begin(request)
    assert (job.state, job.done, job.total) == ("running", 0, 6)
    await until(lambda: jobs.read(job.id, {}).state == "done", timeout=20)
    assert jobs.read(job.id, {}).done == 6
    assert json.loads(jobs.read(job.id, {}).model_dump_json())["found"] == []
