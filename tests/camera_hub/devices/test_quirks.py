"""Each way in which the simulated devices misbehave, and what the hub makes of it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from camera_hub.devices import encoders, ptz
from camera_hub.devices.address import parse_address
from camera_hub.devices.conversation import Conversation
from camera_hub.devices.discovery import call_out
from camera_hub.devices.encoders import Wish
from camera_hub.devices.errors import CameraError
from camera_hub.devices.events import NoEventsError, PullPoint
from camera_hub.devices.probing import Prober
from camera_hub.devices.ptz import Place
from camera_hub.devices.types import ProbeResult
from camera_hub.simulator.discovery import DiscoveryResponder
from camera_hub.simulator.onvif import OnvifDevice, Quirk
from camera_hub.simulator.onvif_xml import Identity, StreamProfile
from camera_hub.simulator.quirks import EXPLAINED
from camera_hub.streams.reach import ANYWHERE
from core.clock import SystemClock
from tests.support.waiting import until

PASSWORD = "p@ss:w/rd?#%"


@pytest.fixture
async def device() -> AsyncIterator[OnvifDevice]:
    async with asyncio.timeout(60):
        device = OnvifDevice(
            [
                StreamProfile("main", "rtsp://127.0.0.1:9/main", 1280, 720, 25.0, 2000, 25),
                StreamProfile("sub", "rtsp://127.0.0.1:9/sub", 640, 360, 12.0, 500, 12),
            ],
            username="viewer",
            password=PASSWORD,
            clock=SystemClock(),
            identity=Identity("Acme", "Dome 5", "2.1", "A-77"),
        )
        await device.start()
        yield device
        await device.close()


async def probe(device: OnvifDevice, password: str = PASSWORD) -> ProbeResult:
    return await Prober(SystemClock(), timeout_s=2.0).probe(
        "onvif", device.address, "viewer", password
    )


def talk_to(device: OnvifDevice) -> Conversation:
    address = parse_address("onvif", device.address)
    return Conversation(replace(address, username="viewer", password=PASSWORD), SystemClock())


@dataclass(frozen=True)
class Expected:
    """What a probe finds: an error's code, or warnings, and what differs from a good camera."""

    error: str = ""
    warnings: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ("main", "sub")
    main: tuple[Any, ...] = (1280, 720, 25.0, 2000, 25)
    snapshot: bool = True
    clock: bool = True


PROBED = {
    Quirk.MALFORMED_XML: Expected("malformed-answer"),
    Quirk.NOT_A_CAMERA: Expected("not-a-camera"),
    Quirk.NO_MEDIA_SERVICE: Expected("no-video-profile"),
    Quirk.SLOW: Expected("camera-timeout"),
    Quirk.ENTITY_BOMB: Expected("malformed-answer"),
    Quirk.NO_PROFILES: Expected("no-video-profile"),
    Quirk.HTTP_500: Expected("not-a-camera"),
    Quirk.GIANT_ANSWER: Expected("not-a-camera"),
    Quirk.WRONG_HOST_IN_URI: Expected(warnings=("stream-host-rewritten",)),
    Quirk.NAMESPACES_WRONG: Expected(),
    Quirk.MISSING_FIELDS: Expected(main=(1280, 720, 0.0, None, 25)),
    Quirk.HTTP_500_INSTEAD_OF_FAULT: Expected(),
    Quirk.FAULT_WITH_HTTP_200: Expected(),
    Quirk.PROFILE_WITHOUT_ENCODER: Expected(tokens=("main",)),
    Quirk.LOCAL_TIME_AS_UTC: Expected(warnings=("clock-skew",)),
    Quirk.NO_CLOCK: Expected(warnings=("clock-unreadable",), clock=False),
    Quirk.CLOCK_NEEDS_PASSWORD: Expected(),
    Quirk.NO_GET_SERVICES: Expected(),
    Quirk.MEDIA2_ONLY: Expected(),
    Quirk.NO_MEDIA2: Expected(),
    Quirk.SOAP_11: Expected(),
    Quirk.NUMBERS_NONSENSE: Expected(main=(0, 0, 0.0, None, 25)),
    Quirk.DUPLICATE_TOKENS: Expected(tokens=("main",)),
    Quirk.HTTP_DIGEST_ONLY: Expected(),
    Quirk.XADDR_OF_OTHER_HOST: Expected(),
    Quirk.EMPTY_SNAPSHOT_URI: Expected(snapshot=False),
}
"""What the hub makes of those that concern a probe."""

TRACKS = "tests/camera_hub/simulator/test_tracks.py"
DATAGRAMS = "tests/camera_hub/streams/rtsp/test_datagram_cameras.py"
ELSEWHERE = {
    Quirk.DIGEST_SHA256: "test_http_digest_with_sha_256_is_answered",
    Quirk.NO_PTZ: "test_a_camera_that_cannot_be_turned_says_so",
    Quirk.PTZ_STATUS_INVALID: "test_a_position_that_cannot_be_read_is_none",
    Quirk.PTZ_IGNORES_TIMEOUT: "test_a_movement_that_ignores_its_end_is_stopped",
    Quirk.NO_PTZ_LIMITS: "test_without_limits_the_generic_ones_hold",
    Quirk.ENCODER_LIES: "test_settings_that_were_not_taken_over_are_named",
    Quirk.ENCODER_REFUSES: "test_refused_settings_are_an_error",
    Quirk.NO_EVENTS: "test_a_camera_without_events_says_so",
    Quirk.EVENTS_MALFORMED: "test_odd_events_are_left_out",
    Quirk.EVENTS_AT_ONCE: "test_odd_events_are_left_out",
    Quirk.EVENTS_SHORT_LIVED: "test_a_short_subscription_is_renewed_in_time",
    Quirk.SUBSCRIPTION_IN_HEADER: (
        "test_events.py: test_a_subscription_that_a_header_names_is_pulled_renewed_and_ended"
    ),
    Quirk.NO_RENEW: "test_events.py: test_without_renew_a_new_subscription_follows",
    Quirk.DISCOVERY_GARBAGE: "test_garbage_hides_no_other_camera",
    Quirk.NO_METADATA: "test_telling.py: test_a_probe_says_that_a_camera_cannot_tell",
    Quirk.METADATA_NOT_TAKEN: "test_telling.py: test_what_was_not_taken_is_noticed",
    **dict.fromkeys(
        (
            Quirk.METADATA_GZIP_ONLY,
            Quirk.METADATA_REFUSED,
            Quirk.METADATA_SILENT,
            Quirk.METADATA_ENDLESS,
            Quirk.METADATA_HUGE,
        ),
        f"{TRACKS}: test_where_no_words_can_be_had_the_pictures_go_on",
    ),
    **dict.fromkeys(
        (
            Quirk.METADATA_GZIP,
            Quirk.METADATA_WRONG_NAMESPACE,
            Quirk.METADATA_MALFORMED,
            Quirk.METADATA_ENTITY_BOMB,
            Quirk.METADATA_OUTSIDE,
            Quirk.METADATA_OF_PEOPLE,
        ),
        f"{TRACKS}: test_odd_words_are_read_or_refused_and_counted",
    ),
    Quirk.NAME_IN_GBK: f"{DATAGRAMS}: test_a_name_in_gbk_costs_nothing",
    Quirk.TCP_REFUSED: f"{DATAGRAMS}: test_who_refuses_tcp_is_read_over_datagrams",
    Quirk.UDP_REFUSED: f"{DATAGRAMS}: test_who_sends_to_a_group_only_is_heard_there",
    Quirk.DATAGRAMS_BLOCKED: f"{DATAGRAMS}: test_a_firewall_is_named_with_its_remedy",
    Quirk.DATAGRAMS_LOST: f"{DATAGRAMS}: test_after_a_loss_nothing_comes_until_a_keyframe",
    **dict.fromkeys(
        (Quirk.DATAGRAMS_LATE, Quirk.DATAGRAMS_TWICE, Quirk.DATAGRAMS_FORGED),
        f"{DATAGRAMS}: test_nothing_is_lost_that_came_late_twice_or_from_a_stranger",
    ),
}
"""Where the others are tested."""


def test_every_quirk_is_explained_and_tested() -> None:
    assert set(EXPLAINED) == set(Quirk)
    assert set(PROBED) | set(ELSEWHERE) == set(Quirk)
    assert not set(PROBED) & set(ELSEWHERE)
    here = {name for name in ELSEWHERE.values() if ":" not in name}
    assert here <= set(globals())


@pytest.mark.parametrize("quirk", list(PROBED))
async def test_a_probe_finds_what_there_is_or_says_what_is_wrong(
    device: OnvifDevice, quirk: Quirk
) -> None:
    device.quirk = quirk
    expected = PROBED[quirk]
    if expected.error:
        with pytest.raises(CameraError) as raised:
            await probe(device)
        assert raised.value.code == expected.error
        assert raised.value.remedy
        assert PASSWORD not in f"{raised.value}{raised.value.remedy}"
        return
    found = await probe(device)
    assert tuple(warning.code for warning in found.warnings) == expected.warnings
    assert tuple(profile.token for profile in found.profiles) == expected.tokens
    main = found.profiles[0]
    numbers = (main.width, main.height, main.fps, main.bitrate_kbps, main.gop)
    assert numbers == expected.main
    assert main.stream_url == "rtsp://127.0.0.1:9/main"
    assert bool(main.snapshot_url) is expected.snapshot
    assert (found.clock_offset_s is not None) is expected.clock
    assert found.device is not None
    assert found.device.manufacturer == "Acme"


@pytest.mark.parametrize(
    "quirk", [None, Quirk.HTTP_500_INSTEAD_OF_FAULT, Quirk.FAULT_WITH_HTTP_200]
)
async def test_a_wrong_password_is_an_error_however_it_is_told(
    device: OnvifDevice, quirk: Quirk | None
) -> None:
    device.quirk = quirk
    with pytest.raises(CameraError) as raised:
        await probe(device, "wrong")
    assert raised.value.code == "camera-unauthorised"
    signed = [name for name in device.asked if name != "GetSystemDateAndTime"]
    # What fails without a reason may be unknown to the device: it is asked in three ways.
    assert len(signed) <= (3 if quirk is Quirk.HTTP_500_INSTEAD_OF_FAULT else 1)


@pytest.mark.parametrize("quirk", [Quirk.NO_CLOCK, Quirk.CLOCK_NEEDS_PASSWORD])
async def test_a_right_password_is_not_blamed_for_a_wrong_clock_that_nobody_can_read(
    device: OnvifDevice, quirk: Quirk
) -> None:
    device.quirk, device.skew = quirk, timedelta(hours=-9)
    with pytest.raises(CameraError, match="set it on the camera's own page") as raised:
        await probe(device)
    assert raised.value.code == "camera-clock-unknown"


async def test_http_digest_with_sha_256_is_answered(device: OnvifDevice) -> None:
    device.quirks = {Quirk.HTTP_DIGEST_ONLY, Quirk.DIGEST_SHA256}
    assert len((await probe(device)).profiles) == 2
    with pytest.raises(CameraError) as raised:
        await probe(device, "wrong")
    assert raised.value.code == "camera-unauthorised"


# Turning


async def test_a_camera_that_cannot_be_turned_says_so(device: OnvifDevice) -> None:
    device.quirk = Quirk.NO_PTZ
    async with talk_to(device) as talk:
        with pytest.raises(CameraError, match="cannot be turned"):
            await ptz.read_head(talk)


async def test_a_position_that_cannot_be_read_is_none(device: OnvifDevice) -> None:
    async with talk_to(device) as talk:
        head = await ptz.read_head(talk)
        await ptz.go(talk, head, Place(0.01, 0.0, 0.0))
        await until(lambda: device.ptz.moving == (False, False))
        assert await ptz.read_place(talk, head) == Place(0.01, 0.0, 0.0)
        device.quirk = Quirk.PTZ_STATUS_INVALID
        assert await ptz.read_place(talk, head) is None


async def test_a_movement_that_ignores_its_end_is_stopped(device: OnvifDevice) -> None:
    device.quirk = Quirk.PTZ_IGNORES_TIMEOUT
    async with talk_to(device) as talk:
        head = await ptz.read_head(talk)
        await ptz.move(talk, head, Place(0.1, 0.0, 0.0), 1.0)
        assert device.ptz.moving == (True, False)
        await ptz.stop(talk, head)
        assert device.ptz.moving == (False, False)


async def test_without_limits_the_generic_ones_hold(device: OnvifDevice) -> None:
    device.quirk = Quirk.NO_PTZ_LIMITS
    async with talk_to(device) as talk:
        head = await ptz.read_head(talk)
        await ptz.move(talk, head, Place(5.0, 0.0, 0.0), 1.0)
        assert device.ptz.moving == (True, False)


# Encoders


async def test_settings_that_were_not_taken_over_are_named(device: OnvifDevice) -> None:
    device.quirk = Quirk.ENCODER_LIES
    async with talk_to(device) as talk:
        now, differences = await encoders.set_encoder(talk, 2, "encoder_sub", Wish(gop=25))
    assert now.gop == 12
    assert [(one.setting, one.asked, one.accepted) for one in differences] == [("gop", "25", "12")]


async def test_refused_settings_are_an_error(device: OnvifDevice) -> None:
    device.quirk = Quirk.ENCODER_REFUSES
    async with talk_to(device) as talk:
        with pytest.raises(CameraError, match="refuses these encoder settings"):
            await encoders.set_encoder(talk, 1, "encoder_sub", Wish(gop=25))


# Events


async def test_a_camera_without_events_says_so(device: OnvifDevice) -> None:
    device.quirk = Quirk.NO_EVENTS
    async with talk_to(device) as talk:
        with pytest.raises(NoEventsError):
            await PullPoint(talk).open()


@pytest.mark.parametrize("quirk", [Quirk.EVENTS_MALFORMED, Quirk.EVENTS_AT_ONCE])
async def test_odd_events_are_left_out(device: OnvifDevice, quirk: Quirk) -> None:
    device.quirk = quirk
    async with talk_to(device) as talk:
        point = PullPoint(talk)
        await point.open()
        assert await point.pull(1) == []


async def test_a_short_subscription_is_renewed_in_time(device: OnvifDevice) -> None:
    device.quirk = Quirk.EVENTS_SHORT_LIVED
    async with talk_to(device) as talk:
        point = PullPoint(talk)
        await point.open()
        assert point.open_for_s <= 5.5
        assert len(await point.pull(20)) == 3
        device.events.tamper(True)
        assert len(await point.pull(20)) == 1
        assert device.events.renewed >= 1


# Discovery


async def test_garbage_hides_no_other_camera(device: OnvifDevice) -> None:
    other = OnvifDevice(
        device.profiles, username="viewer", password=PASSWORD, clock=SystemClock(),
        quirks=[Quirk.DISCOVERY_GARBAGE],
    )  # fmt: skip
    responder = DiscoveryResponder(lambda: [other, device], port=0)
    await responder.start()
    try:
        found = [
            heard
            async for heard in call_out(
                SystemClock(), ANYWHERE, ["127.0.0.1"], seconds=0.5, port=responder.port
            )
        ]
    finally:
        await responder.close()
    assert [(heard.port, heard.model) for heard in found] == [(device.port, "Dome 5")]
    assert responder.probes >= 1
