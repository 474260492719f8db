"""What a camera itself notices, pulled from it: motion, tampering, its input contacts.

After the ONVIF core specification, chapter "Event handling" (PullPoint). A subscription is asked
for with lengths of time only and kept by the differences of the device's own times, so that a
clock that is wrong, or set while we listen, ends nothing. Topics are known by their ends, for
devices put different roots before them; what is not known is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from lxml import etree  # type: ignore[import-untyped]

from camera_hub.devices import soap
from camera_hub.devices.conversation import Conversation
from camera_hub.devices.elements import (
    NAMESPACES,
    Element,
    address,
    attribute,
    every,
    first,
    node,
    text,
)
from camera_hub.devices.errors import CameraError, CameraUnauthorisedError
from camera_hub.devices.urls import service_url

EventKind = Literal["motion", "tamper", "input"]

LASTS_S = 120.0
"""How long a subscription is asked to last; a camera forgets it so long after we are gone."""
_MOST_MESSAGES = 32
"""Asked for at once."""
_MOST_READ = 128
"""Read of one answer, however many a device sends."""
_LONGEST_NAME = 60
_MOST_HEADERS = 8
_LONGEST_HEADERS = 4096
_OUR_HEADERS = {NAMESPACES[prefix] for prefix in ("s", "wsse", "wsu")} | {
    "http://schemas.xmlsoap.org/soap/envelope/"
}
_SLACK_S = 5.0
_SHORTEST_S = 2.0

_TOPICS: dict[tuple[str, ...], EventKind] = {
    ("CellMotionDetector", "Motion"): "motion",
    ("MotionRegionDetector", "Motion"): "motion",
    ("VideoSource", "MotionAlarm"): "motion",
    ("VideoAnalytics", "Motion"): "motion",
    ("TamperDetector", "Tamper"): "tamper",
    ("GlobalSceneChange", "ImagingService"): "tamper",
    ("GlobalSceneChange", "AnalyticsService"): "tamper",
    ("GlobalSceneChange", "RecordingService"): "tamper",
    ("Trigger", "DigitalInput"): "input",
}
_STATES: dict[EventKind, tuple[str, ...]] = {
    "motion": ("IsMotion", "State"),
    "tamper": ("IsTamper", "State"),
    "input": ("LogicalState", "State"),
}
_TRUE, _FALSE = {"true", "1", "on", "active"}, {"false", "0", "off", "inactive"}


@dataclass(frozen=True, slots=True)
class CameraEvent:
    """A state of something that a camera watches.

    `name` is the input's, or of the rule that saw it; may be empty. `initial` says that this is
    the state at the beginning of the subscription and no change. `told_at` is the camera's own
    time, None where it says none: not to be relied on.
    """

    kind: EventKind
    name: str
    active: bool
    initial: bool
    told_at: datetime | None


class NoEventsError(CameraError):
    """The camera offers no events that can be pulled."""

    code = "no-events"


class LostSubscriptionError(CameraError):
    """The camera does not know the subscription any more: restarted, expired, or out of room."""

    code = "subscription-lost"


class PullPoint:
    """A subscription with one camera. `open` it, `pull` for ever, `close` it.

    Not to be used by two tasks at once. Every call may raise `CameraError`; after
    `LostSubscriptionError` a new one is to be opened.
    """

    def __init__(self, conversation: Conversation) -> None:
        self._talk = conversation
        self._clock = conversation.clock
        self._ask_s = conversation.timeout_s
        self._url = ""
        self._headers: tuple[Element, ...] = ()
        self._until = 0.0
        self._renews = True

    @property
    def open_for_s(self) -> float:
        """How long it still lasts, in seconds of our clock."""
        return max(0.0, self._until - self._clock.monotonic()) if self._url else 0.0

    async def open(self) -> None:
        """Subscribe to everything.

        Raises:
            NoEventsError: it has no such service.
            CameraError: everything else that can go wrong.
        """
        if self._talk.offset is None:
            await self._talk.read_time()
        if "tev" not in await self._talk.services():
            raise _no_events(self._talk)
        request = node(
            "tev:CreatePullPointSubscription",
            node("tev:InitialTerminationTime", f"PT{LASTS_S:.0f}S"),
        )
        try:
            answer = await self._talk.ask("tev", request)
        except soap.DeviceFaultError as fault:
            if fault.unknown_here:
                raise _no_events(self._talk) from None
            raise _refused(self._talk, fault) from None
        reference = first(answer, "SubscriptionReference")
        named = address(reference, "Address")
        try:
            # Asked on the host that was entered, whatever the device calls itself.
            self._url = service_url(named, self._talk.camera)
        except ValueError:
            what = "the address of its subscription is none"
            raise soap.malformed(self._talk.camera.place, what) from None
        self._headers = tuple(_echoed(reference))
        self._note_end(answer)

    async def pull(self, wait_s: float) -> list[CameraEvent]:
        """Return what has changed; waits up to `wait_s` for something. Renews when it is time.

        Raises:
            LostSubscriptionError: the camera does not know it any more.
            CameraError: everything else that can go wrong.
        """
        if self.open_for_s < LASTS_S / 2 and self._renews:
            await self._renew()
        left = self.open_for_s - _SLACK_S / 2
        if left <= 0 and not self._renews:
            raise _lost(self._talk)
        wait_s = max(1.0, min(wait_s, left))
        request = node(
            "tev:PullMessages",
            node("tev:Timeout", f"PT{wait_s:.0f}S"),
            node("tev:MessageLimit", str(_MOST_MESSAGES)),
        )
        answer = await self._ask(request, wait_s + self._ask_s)
        return list(read_events(answer))

    async def close(self) -> None:
        """Unsubscribe, if it is still there; a camera that does not answer forgets it by itself."""
        if not self._url:
            return
        try:
            await self._ask(node("wsnt:Unsubscribe"), self._ask_s)
        except CameraError:
            pass
        finally:
            self._url = ""

    async def _renew(self) -> None:
        request = node("wsnt:Renew", node("wsnt:TerminationTime", f"PT{LASTS_S:.0f}S"))
        try:
            answer = await self._talk.ask_at(self._url, request, headers=self._headers)
        except CameraUnauthorisedError:
            raise _lost(self._talk) from None
        except soap.DeviceFaultError as fault:
            if not fault.unknown_here:
                raise _lost(self._talk) from None
            # It lasts as long as it lasts; then there is a new one.
            self._renews = False
            return
        self._note_end(answer)

    async def _ask(self, request: Element, within_s: float) -> Element:
        before, self._talk.timeout_s = self._talk.timeout_s, within_s
        try:
            return await self._talk.ask_at(self._url, request, headers=self._headers)
        except (soap.DeviceFaultError, CameraUnauthorisedError):
            # The account was right when the subscription was made: its clock has been set since,
            # or it answers so for what it does not know. A new one begins with its time.
            raise _lost(self._talk) from None
        finally:
            self._talk.timeout_s = before

    def _note_end(self, answer: Element) -> None:
        """Work out until when it lasts, from two times of the device's own."""
        now, until = moment(text(answer, "CurrentTime")), moment(text(answer, "TerminationTime"))
        lasts = LASTS_S if now is None or until is None else (until - now).total_seconds()
        # A time that cannot be meant is none; one that is too long is not believed.
        lasts = min(lasts, LASTS_S) if lasts > 0 else LASTS_S
        self._until = self._clock.monotonic() + max(lasts, _SHORTEST_S)


def read_events(answer: Element) -> Iterator[CameraEvent]:
    """Yield what is understood of an answer to PullMessages, in its order."""
    for count, notification in enumerate(every(answer, "NotificationMessage")):
        if count >= _MOST_READ:
            return
        event = _event(notification)
        if event is not None:
            yield event


def _echoed(reference: Element | None) -> Iterator[Element]:
    """Yield the headers by which a device knows its subscription (WS-Addressing 1.0, section 4.1).

    Some give all subscriptions one address. What would take the place of a header of ours is left
    out, and so is all of it where it is too much to be meant.
    """
    given = [
        *every(reference, "ReferenceParameters"),
        # Of the draft of 2004, which some still speak.
        *every(reference, "ReferenceProperties"),
    ]
    found = [child for one in given for child in one if isinstance(child.tag, str)]
    if len(found) > _MOST_HEADERS or sum(len(etree.tostring(f)) for f in found) > _LONGEST_HEADERS:
        return
    for child in found:
        if etree.QName(child).namespace in _OUR_HEADERS:
            continue
        header = deepcopy(child)
        header.tail = None
        header.set(f"{{{NAMESPACES['wsa']}}}IsReferenceParameter", "true")
        yield header


def _event(notification: Element) -> CameraEvent | None:
    message = first(notification, "Message/Message")
    if message is None:
        message = first(notification, "Message")
    kind = _kind_of(text(notification, "Topic"))
    if kind is None or message is None:
        return None
    data = _items(message, "Data")
    said = next((data[name] for name in _STATES[kind] if name in data), "").lower()
    if said not in _TRUE | _FALSE:
        return None
    operation = attribute(message, "PropertyOperation")
    source = _items(message, "Source")
    return CameraEvent(
        kind=kind,
        name=_name_of(kind, source),
        # A property that is deleted holds no longer.
        active=said in _TRUE and operation != "Deleted",
        initial=operation == "Initialized",
        told_at=moment(attribute(message, "UtcTime")),
    )


def _kind_of(topic: str) -> EventKind | None:
    parts = tuple(part.rpartition(":")[2] for part in topic.split("/"))
    return _TOPICS.get(parts[-2:])


def _items(message: Element, part: str) -> Mapping[str, str]:
    return {
        attribute(item, "Name"): attribute(item, "Value")
        for count, item in enumerate(every(message, f"{part}/SimpleItem"))
        if count < _MOST_MESSAGES
    }


def _name_of(kind: EventKind, source: Mapping[str, str]) -> str:
    wanted = ("InputToken",) if kind == "input" else ("Rule", "Source")
    return next((source[key] for key in wanted if source.get(key)), "")[:_LONGEST_NAME]


def moment(said: str) -> datetime | None:
    """Return a time of XML Schema, None of anything else; without a zone it is UTC."""
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _no_events(talk: Conversation) -> NoEventsError:
    return NoEventsError(
        f"The camera at {talk.camera.place} offers no events.",
        remedy="Nothing is to be done: motion is found in its pictures. Some cameras offer events "
        "when they are switched on in their ONVIF settings.",
    )


def _lost(talk: Conversation) -> LostSubscriptionError:
    return LostSubscriptionError(
        f"The camera at {talk.camera.place} has forgotten that the hub listens to its events.",
        remedy="Nothing is to be done: the hub subscribes again.",
    )


def _refused(talk: Conversation, fault: soap.DeviceFaultError) -> LostSubscriptionError:
    said = f": {fault.reason}" if fault.reason else ""
    return LostSubscriptionError(
        f"The camera at {talk.camera.place} does not let the hub listen to its events{said}.",
        remedy="Other programs may have taken all places; the hub tries again.",
    )
