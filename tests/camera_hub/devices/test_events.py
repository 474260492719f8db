"""Pulling events from a simulated camera that renews, forgets, restarts, and sends nonsense."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from lxml import etree  # type: ignore[import-untyped]

from camera_hub.devices.address import parse_address
from camera_hub.devices.conversation import Conversation
from camera_hub.devices.elements import NAMESPACES
from camera_hub.devices.errors import CameraUnauthorisedError
from camera_hub.devices.events import (
    CameraEvent,
    LostSubscriptionError,
    NoEventsError,
    PullPoint,
    _echoed,
    read_events,
)
from camera_hub.devices.listening import Listener
from camera_hub.simulator import pullpoint
from camera_hub.simulator.onvif import OnvifDevice, Quirk
from camera_hub.simulator.onvif_xml import StreamProfile
from core.clock import ManualClock, SystemClock
from tests.support.waiting import until

PASSWORD = "p@ss:w/rd?#%"
Said = tuple[str, str, bool]


@pytest.fixture
async def device() -> AsyncIterator[OnvifDevice]:
    async with asyncio.timeout(60):
        device = OnvifDevice(
            [StreamProfile("main", "rtsp://127.0.0.1:9/main", 1280, 720, 25, 2000, 25)],
            username="viewer",
            password=PASSWORD,
            clock=SystemClock(),
            reboot_s=0.1,
        )
        await device.start()
        yield device
        await device.close()


def conversation(
    device: OnvifDevice, *, password: str = PASSWORD, clock: Any = None
) -> Conversation:
    address = parse_address("onvif", f"viewer:x@{device.address}")
    return Conversation(replace(address, password=password), clock or SystemClock())


def said(events: list[CameraEvent]) -> list[Said]:
    return [(event.kind, event.name, event.active) for event in events]


@asynccontextmanager
async def opened(device: OnvifDevice, **more: Any) -> AsyncIterator[PullPoint]:
    async with conversation(device, **more) as talk:
        point = PullPoint(talk)
        await point.open()
        yield point


async def test_a_new_subscription_is_told_what_holds_and_then_what_changes(
    device: OnvifDevice,
) -> None:
    async with opened(device) as point:
        first = await point.pull(5)
        assert said(first) == [
            ("motion", "motion", False),
            ("tamper", "source", False),
            ("input", "door", False),
        ]
        assert all(event.initial for event in first)
        waiting = asyncio.create_task(point.pull(20))
        device.events.motion(True)
        device.events.digital_input("gas", True)
        found = await waiting
        found += await point.pull(1) if len(found) < 2 else []
        assert said(found) == [("motion", "motion", True), ("input", "gas", True)]
        assert not any(event.initial for event in found)
        assert found[0].told_at is not None
        await point.close()
        assert not device.events.subscriptions
        assert device.events.ended == 1


async def test_nothing_happening_is_answered_with_nothing(device: OnvifDevice) -> None:
    async with opened(device) as point:
        await point.pull(5)
        assert await point.pull(1) == []


@pytest.mark.parametrize("skew", [timedelta(days=-3000), timedelta(hours=5)])
async def test_a_wrong_clock_ends_no_subscription(device: OnvifDevice, skew: timedelta) -> None:
    device.skew = skew
    async with opened(device) as point:
        assert 100 < point.open_for_s <= 120
        assert len(await point.pull(5)) == 3


async def test_it_is_renewed_before_it_ends(device: OnvifDevice) -> None:
    clock = ManualClock(SystemClock().now())
    async with opened(device, clock=clock) as point:
        await point.pull(5)
        assert device.events.renewed == 0
        clock.advance(61)
        device.skew += timedelta(seconds=61)
        device.events.tamper(True)
        assert said(await point.pull(5)) == [("tamper", "source", True)]
        assert device.events.renewed == 1
        assert point.open_for_s > 100


@pytest.mark.faults
async def test_a_restarted_camera_has_forgotten(device: OnvifDevice) -> None:
    async with opened(device) as point:
        await point.pull(5)
        device.events.forget()
        with pytest.raises(LostSubscriptionError, match="forgotten"):
            await point.pull(5)


async def test_a_camera_without_events_is_said_to_have_none(device: OnvifDevice) -> None:
    device.quirk = Quirk.NO_EVENTS
    async with conversation(device) as talk:
        with pytest.raises(NoEventsError, match="offers no events"):
            await PullPoint(talk).open()


async def test_a_wrong_password_is_sent_once(device: OnvifDevice) -> None:
    async with conversation(device, password="wrong") as talk:
        with pytest.raises(CameraUnauthorisedError):
            await PullPoint(talk).open()
    assert len([name for name in device.asked if name != "GetSystemDateAndTime"]) == 1


async def test_a_camera_without_room_refuses(device: OnvifDevice) -> None:
    for _ in range(4):
        async with opened(device):
            pass
    async with conversation(device) as talk:
        with pytest.raises(LostSubscriptionError, match="does not let the hub listen"):
            await PullPoint(talk).open()


async def test_the_subscription_is_asked_on_the_host_that_was_entered(device: OnvifDevice) -> None:
    device.quirk = Quirk.XADDR_OF_OTHER_HOST
    async with opened(device) as point:
        assert len(await point.pull(5)) == 3


async def test_a_subscription_that_a_header_names_is_pulled_renewed_and_ended(
    device: OnvifDevice,
) -> None:
    device.quirk = Quirk.SUBSCRIPTION_IN_HEADER
    clock = ManualClock(SystemClock().now())
    async with opened(device, clock=clock) as point, opened(device) as other:
        assert len(await point.pull(5)) == 3
        assert len(await other.pull(5)) == 3
        clock.advance(61)
        device.skew += timedelta(seconds=61)
        device.events.tamper(True)
        assert said(await point.pull(5)) == [("tamper", "source", True)]
        assert device.events.renewed == 1
        await point.close()
        assert len(device.events.subscriptions) == 1
        device.skew = timedelta()
        assert said(await other.pull(5)) == [("tamper", "source", True)]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ('<x:Id xmlns:x="urn:x" a="1">7<x:In/></x:Id>', ["Id"]),
        ("".join(f'<x:I{n} xmlns:x="urn:x"/>' for n in range(9)), []),
        (f'<x:Id xmlns:x="urn:x">{"7" * 5000}</x:Id>', []),
        (
            f'<wsse:Security xmlns:wsse="{NAMESPACES["wsse"]}"><wsse:Token/></wsse:Security>'
            '<x:Id xmlns:x="urn:x"/><!-- a comment -->',
            ["Id"],
        ),
        ("", []),
    ],
)
def test_only_headers_that_can_be_meant_are_sent_back(given: str, kept: list[str]) -> None:
    reference = etree.fromstring(
        f'<r xmlns:w="{NAMESPACES["wsa"]}"><w:Address>http://a/</w:Address>'
        f"<w:ReferenceParameters>{given}</w:ReferenceParameters></r>"
    )
    headers = list(_echoed(reference))
    assert [etree.QName(header).localname for header in headers] == kept
    for header in headers:
        assert header.get(f"{{{NAMESPACES['wsa']}}}IsReferenceParameter") == "true"


# What a device may send


def answer(messages: str) -> Any:
    return etree.fromstring(
        '<tev:R xmlns:tev="http://www.onvif.org/ver10/events/wsdl" '
        'xmlns:wsnt="http://docs.oasis-open.org/wsn/b-2" '
        f'xmlns:tt="http://www.onvif.org/ver10/schema">{messages}</tev:R>'
    )


def notification(topic: str, items: str, source: str = "", **attributes: str) -> str:
    more = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return (
        f"<wsnt:NotificationMessage><wsnt:Topic>{topic}</wsnt:Topic><wsnt:Message>"
        f"<tt:Message {more}><tt:Source>{source}</tt:Source><tt:Data>{items}</tt:Data>"
        "</tt:Message></wsnt:Message></wsnt:NotificationMessage>"
    )


def item(name: str, value: str) -> str:
    return f'<tt:SimpleItem Name="{name}" Value="{value}"/>'


@pytest.mark.parametrize(
    ("topic", "name", "value", "expected"),
    [
        ("tns1:RuleEngine/CellMotionDetector/Motion", "IsMotion", "1", ("motion", "", True)),
        ("tns1:VideoSource/MotionAlarm", "State", "false", ("motion", "", False)),
        ("tns1:RuleEngine/tnsx:TamperDetector/Tamper", "IsTamper", "true", ("tamper", "", True)),
        ("a/GlobalSceneChange/AnalyticsService", "State", "TRUE", ("tamper", "", True)),
        ("tns1:Device/Trigger/DigitalInput", "LogicalState", "active", ("input", "", True)),
        ("Device/Trigger/DigitalInput", "LogicalState", "0", ("input", "", False)),
    ],
)  # fmt: skip
def test_topics_are_known_by_their_ends(topic: str, name: str, value: str, expected: Said) -> None:
    assert said(list(read_events(answer(notification(topic, item(name, value)))))) == [expected]


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "<wsnt:NotificationMessage/>",
        notification("tns1:Device/HardwareFailure/FanFailure", item("State", "true")),
        notification("tns1:VideoSource/MotionAlarm", item("State", "maybe")),
        notification("tns1:VideoSource/MotionAlarm", item("Other", "true")),
        notification("tns1:VideoSource/MotionAlarm", ""),
        notification("", item("State", "true")),
        "<wsnt:NotificationMessage><wsnt:Topic>tns1:VideoSource/MotionAlarm</wsnt:Topic>"
        "</wsnt:NotificationMessage>",
        "text<!-- comment -->" * 3,
    ],
)
def test_what_is_not_understood_is_left_out(broken: str) -> None:
    good = notification("tns1:VideoSource/MotionAlarm", item("State", "true"))
    assert said(list(read_events(answer(broken + good)))) == [("motion", "", True)]


def test_names_are_cleaned_and_shortened() -> None:
    source = item("InputToken", "gas&#9;&#x202e;" + "x" * 500)
    text = notification("a/Trigger/DigitalInput", item("LogicalState", "true"), source)
    (event,) = read_events(answer(text))
    assert event.name == ("gas" + "x" * 500)[:60]
    assert event.told_at is None


def test_of_an_endless_answer_the_beginning_is_read() -> None:
    one = notification("a/VideoSource/MotionAlarm", item("State", "true"), UtcTime="nonsense")
    assert len(list(read_events(answer(one * 5000)))) == 128


def test_a_deleted_property_holds_no_longer() -> None:
    text = notification(
        "a/VideoSource/MotionAlarm", item("State", "true"), PropertyOperation="Deleted"
    )
    assert said(list(read_events(answer(text)))) == [("motion", "", False)]


# Listening for ever


class Heard:
    """What a listener told, in order; `lost` counts."""

    def __init__(self) -> None:
        self.events: list[CameraEvent] = []
        self.lost = 0

    def note_lost(self) -> None:
        self.lost += 1

    def has(self, *wanted: Said) -> Callable[[], bool]:
        return lambda: set(wanted) <= set(said(self.events))


@asynccontextmanager
async def listening(device: OnvifDevice, **more: Any) -> AsyncIterator[tuple[Listener, Heard]]:
    heard = Heard()
    listener = Listener(
        conversation(device).camera,
        SystemClock(),
        tell=heard.events.extend,
        lost=heard.note_lost,
        **more,
    )
    task = asyncio.create_task(listener.run())
    try:
        yield listener, heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_listener_hears_and_leaves_no_place_taken(device: OnvifDevice) -> None:
    async with listening(device) as (listener, heard):
        await until(lambda: len(heard.events) == 3)
        device.events.digital_input("door", True)
        await until(heard.has(("input", "door", True)))
        assert listener.state == "open"
    assert not device.events.subscriptions


@pytest.mark.faults
async def test_a_reboot_is_survived(device: OnvifDevice) -> None:
    async with listening(device) as (listener, heard):
        await until(lambda: listener.state == "open" and len(heard.events) == 3)
        device.reboot()
        await until(lambda: listener.subscriptions == 2 and listener.state == "open")
        assert heard.lost >= 1
        device.events.tamper(True)
        await until(heard.has(("tamper", "source", True)))


@pytest.mark.faults
async def test_a_clock_that_is_set_meanwhile_is_survived(device: OnvifDevice) -> None:
    async with listening(device, wait_s=1.0) as (_listener, heard):
        await until(lambda: len(heard.events) == 3)
        device.skew = timedelta(days=400)
        device.events.tamper(True)
        await until(heard.has(("tamper", "source", True)))
        # What is signed with the old time is refused now; the listener begins anew.
        subscribed = device.events.made
        await until(lambda: device.events.made > subscribed)
        device.events.digital_input("gas", True)
        await until(heard.has(("input", "gas", True)))


@pytest.mark.parametrize("quirk", [Quirk.EVENTS_AT_ONCE, Quirk.EVENTS_MALFORMED])
async def test_an_odd_camera_is_not_asked_without_pause(device: OnvifDevice, quirk: Quirk) -> None:
    device.quirk = quirk
    async with listening(device) as (listener, heard):
        await until(lambda: "PullMessages" in device.asked)
        device.events.motion(True)
        await until(lambda: device.asked.count("PullMessages") >= 3)
        assert listener.state == "open"
        assert not heard.events
    assert device.asked.count("PullMessages") < 10


async def test_without_renew_a_new_subscription_follows(device: OnvifDevice) -> None:
    device.quirks = {Quirk.NO_RENEW, Quirk.EVENTS_SHORT_LIVED}
    async with listening(device, wait_s=1.0) as (listener, heard):
        await until(lambda: listener.subscriptions >= 2)
        device.events.tamper(True)
        await until(heard.has(("tamper", "source", True)))


async def test_a_refused_listener_waits_long(device: OnvifDevice) -> None:
    heard = Heard()
    listener = Listener(
        conversation(device, password="wrong").camera,
        (clock := ManualClock(SystemClock().now())),
        tell=heard.events.extend,
        lost=heard.note_lost,
    )
    task = asyncio.create_task(listener.run())
    await until(lambda: listener.state == "refused")
    asked = len(device.asked)
    clock.advance(600)
    await asyncio.sleep(0)
    assert len(device.asked) == asked
    assert "does not accept" in listener.reason
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_the_simulator_has_the_topics_that_are_known() -> None:
    for topic in (pullpoint.MOTION, pullpoint.TAMPER, pullpoint.DIGITAL_INPUT):
        text = notification(
            topic, item("IsMotion", "true") + item("State", "1") + item("LogicalState", "1")
        )
        assert len(list(read_events(answer(text)))) == 1
