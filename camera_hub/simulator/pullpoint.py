"""The events of a simulated device: its inputs, and those who pull their changes (PullPoint).

After the ONVIF core specification, chapter "Event handling": a subscription ends at its
termination time unless it is renewed, and is forgotten when the device starts again. Each new
one is told the present value of every property first (`Initialized`).
"""

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

from camera_hub.simulator import onvif_xml as xml
from camera_hub.simulator.durations import seconds_of
from camera_hub.simulator.onvif_xml import SoapFaultError
from camera_hub.simulator.quirks import Quirk, Quirks
from core.clock import Clock

MOTION = "tns1:RuleEngine/CellMotionDetector/Motion"
TAMPER = "tns1:VideoSource/GlobalSceneChange/ImagingService"
DIGITAL_INPUT = "tns1:Device/Trigger/DigitalInput"

MAKER_NS = "http://camera.example/events"
"""Of the header that says which subscription is meant (`Quirk.SUBSCRIPTION_IN_HEADER`)."""
_DEFAULT_S = 60.0
_MOST_KEPT = 256
_TEV = f"{{{xml.EVENTS_NS}}}"
_WSNT = f"{{{xml.NOTIFY_NS}}}"
Operation = Literal["Initialized", "Changed", "Deleted"]


@dataclass(frozen=True)
class Message:
    """One notification; `source` and `data` are simple items."""

    topic: str
    source: Mapping[str, str]
    data: Mapping[str, str]
    operation: Operation
    at: datetime


@dataclass(eq=False)
class Subscription:
    """Whoever pulls: until when (monotonic), and what waits."""

    until: float
    waiting: deque[Message] = field(default_factory=lambda: deque(maxlen=_MOST_KEPT))
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def lose(self) -> None:
        """End; who waits is answered with a fault."""
        self.until = 0.0
        self.news.set()


class EventSource:
    """What happens at a device. Tests call `motion`, `tamper`, `digital_input` or `push`.

    `subscriptions` are those that live now; `made` and `renewed` count requests of the client.
    """

    def __init__(self, clock: Clock, device_now: Callable[[], datetime], most: int = 4) -> None:
        self.made = 0
        self.renewed = 0
        self.ended = 0
        self._clock = clock
        self._now = device_now
        self._most = most
        self._subscriptions: dict[str, Subscription] = {}
        self._state: dict[tuple[str, str], Message] = {}
        self.motion(False)
        self.tamper(False)
        self.digital_input("door", False)

    @property
    def subscriptions(self) -> Mapping[str, Subscription]:
        """Those that have not ended."""
        now = self._clock.monotonic()
        for name in [n for n, one in self._subscriptions.items() if one.until <= now]:
            del self._subscriptions[name]
        return self._subscriptions

    def motion(self, active: bool) -> None:
        """Something moves, or no longer."""
        source = {"VideoSourceConfigurationToken": "source_config", "Rule": "motion"}
        self.push(MOTION, source, {"IsMotion": _word(active)})

    def tamper(self, active: bool) -> None:
        """Somebody covers or turns the camera, or no longer."""
        self.push(TAMPER, {"Source": "source"}, {"State": _word(active)})

    def digital_input(self, token: str, active: bool) -> None:
        """An input contact closes or opens."""
        self.push(DIGITAL_INPUT, {"InputToken": token}, {"LogicalState": _word(active)})

    def push(
        self,
        topic: str,
        source: Mapping[str, str],
        data: Mapping[str, str],
        *,
        property_: bool = True,
    ) -> None:
        """Tell every subscription; a property's value is kept for those who come later."""
        message = Message(topic, source, data, "Changed", self._now())
        if property_:
            self._state[topic, repr(sorted(source.items()))] = message
        for one in self.subscriptions.values():
            one.waiting.append(message)
            one.news.set()

    def forget(self) -> None:
        """Lose every subscription, as at a restart; who waits is answered with a fault."""
        waiting = list(self._subscriptions.values())
        self._subscriptions.clear()
        for one in waiting:
            one.lose()

    # The service

    async def answer(
        self, operation: str, request: Element, name: str, base: str, quirks: Quirks
    ) -> str:
        """Return the answer's document. `name` is the subscription that was asked, if any.

        `base` is the address of the event service. Raises SoapFaultError.
        """
        if operation == "CreatePullPointSubscription":
            return self._create(request, base, quirks)
        if operation in _TOLD:
            return xml.envelope(
                f"<tev:{operation}Response>{_TOLD[operation]}</tev:{operation}Response>"
            )
        if operation == "Renew" and Quirk.NO_RENEW in quirks:
            raise xml.unsupported(operation)
        one = self.subscriptions.get(name)
        if one is None:
            raise SoapFaultError(
                "InvalidArgVal", "There is no such subscription (ResourceUnknown)."
            )
        if operation == "PullMessages":
            return await self._pull(request, one, quirks)
        if operation == "Renew":
            self.renewed += 1
            one.until = self._until(request.findtext(f"{_WSNT}TerminationTime", ""), quirks)
            return xml.envelope(f"<wsnt:RenewResponse>{self._times(one)}</wsnt:RenewResponse>")
        if operation == "Unsubscribe":
            self.ended += 1
            del self._subscriptions[name]
            one.lose()
            return xml.envelope("<wsnt:UnsubscribeResponse/>")
        raise xml.unsupported(operation)

    def _create(self, request: Element, base: str, quirks: Quirks) -> str:
        if len(self.subscriptions) >= self._most:
            raise SoapFaultError(
                "MaxPullPoints", "There are too many subscriptions.", role="Receiver"
            )
        self.made += 1
        name = secrets.token_hex(4)
        one = Subscription(
            self._until(request.findtext(f"{_TEV}InitialTerminationTime", ""), quirks)
        )
        self._subscriptions[name] = one
        self._initialise(one)
        times = self._times(one)
        reference = f"<wsa5:Address>{escape(f'{base}/{name}')}</wsa5:Address>"
        if Quirk.SUBSCRIPTION_IN_HEADER in quirks:
            reference = (
                f"<wsa5:Address>{escape(f'{base}/any')}</wsa5:Address><wsa5:ReferenceParameters>"
                f'<dom0:SubscriptionId xmlns:dom0="{MAKER_NS}">{name}</dom0:SubscriptionId>'
                "</wsa5:ReferenceParameters>"
            )
        return xml.envelope(
            "<tev:CreatePullPointSubscriptionResponse><tev:SubscriptionReference>"
            f"{reference}</tev:SubscriptionReference>"
            f"{times}</tev:CreatePullPointSubscriptionResponse>"
        )

    def _initialise(self, one: Subscription) -> None:
        for message in self._state.values():
            one.waiting.append(
                Message(message.topic, message.source, message.data, "Initialized", self._now())
            )
        one.news.set()

    def _until(self, text: str, quirks: Quirks) -> float:
        """Return the monotonic time at which a subscription ends that asks for `text`."""
        seconds = _DEFAULT_S
        if text.startswith("P"):
            seconds = seconds_of(text)
        elif text:
            try:
                seconds = (datetime.fromisoformat(text) - self._now()).total_seconds()
            except (ValueError, TypeError):
                raise SoapFaultError("InvalidArgVal", f"{text} is no time.") from None
        if Quirk.EVENTS_SHORT_LIVED in quirks:
            seconds = 5.0
        return self._clock.monotonic() + max(1.0, min(3600.0, seconds))

    def _times(self, one: Subscription) -> str:
        now = self._now()
        until = now + timedelta(seconds=one.until - self._clock.monotonic())
        return (
            f"<wsnt:CurrentTime>{xml.time_of(now)}</wsnt:CurrentTime>"
            f"<wsnt:TerminationTime>{xml.time_of(until)}</wsnt:TerminationTime>"
        )

    async def _pull(self, request: Element, one: Subscription, quirks: Quirks) -> str:
        wait_s = min(60.0, seconds_of(request.findtext(f"{_TEV}Timeout", "PT1S")))
        limit = int(request.findtext(f"{_TEV}MessageLimit", "10"))
        taken: list[Message] = []
        if Quirk.EVENTS_AT_ONCE not in quirks:
            if not one.waiting:
                one.news.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await one.news.wait()
            if one.until == 0.0:
                raise SoapFaultError("InvalidArgVal", "The subscription is lost (ResourceUnknown).")
            taken = [one.waiting.popleft() for _ in range(min(limit, len(one.waiting)))]
        text = (
            "<tev:PullMessagesResponse>"
            f"{self._times(one).replace('wsnt:', 'tev:')}{''.join(map(_message, taken))}"
            "</tev:PullMessagesResponse>"
        )
        if Quirk.EVENTS_MALFORMED in quirks:
            text = text.replace(' Name="', ' Nom="').replace("UtcTime", "Time")
            text = text.replace("<wsnt:Topic", "<wsnt:Topik").replace(
                "</wsnt:Topic", "</wsnt:Topik"
            )
        return xml.envelope(text)


def _message(message: Message) -> str:
    source = "".join(_item(*pair) for pair in message.source.items())
    data = "".join(_item(*pair) for pair in message.data.items())
    return (
        "<wsnt:NotificationMessage>"
        '<wsnt:Topic Dialect="http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet">'
        f"{escape(message.topic)}</wsnt:Topic><wsnt:Message>"
        f'<tt:Message UtcTime="{xml.time_of(message.at)}" PropertyOperation="{message.operation}">'
        f"<tt:Source>{source}</tt:Source><tt:Data>{data}</tt:Data></tt:Message></wsnt:Message>"
        "</wsnt:NotificationMessage>"
    )


def _item(name: str, value: str) -> str:
    return f"<tt:SimpleItem Name={quoteattr(name)} Value={quoteattr(value)}/>"


def _word(active: bool) -> str:
    return "true" if active else "false"


_PROPERTIES = (
    "<tev:TopicNamespaceLocation>http://www.onvif.org/onvif/ver10/topics/topicns.xml"
    "</tev:TopicNamespaceLocation><wsnt:FixedTopicSet>true</wsnt:FixedTopicSet>"
    '<wstop:TopicSet xmlns:wstop="http://docs.oasis-open.org/wsn/t-1">'
    '<tns1:RuleEngine><CellMotionDetector><Motion wstop:topic="true"/></CellMotionDetector>'
    "</tns1:RuleEngine><tns1:VideoSource><GlobalSceneChange>"
    '<ImagingService wstop:topic="true"/></GlobalSceneChange></tns1:VideoSource>'
    '<tns1:Device><Trigger><DigitalInput wstop:topic="true"/></Trigger></tns1:Device>'
    "</wstop:TopicSet>"
    "<wsnt:TopicExpressionDialect>"
    "http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet</wsnt:TopicExpressionDialect>"
    "<tev:MessageContentFilterDialect>"
    "http://www.onvif.org/ver10/tev/messageContentFilter/ItemFilter"
    "</tev:MessageContentFilterDialect>"
    "<tev:MessageContentSchemaLocation>http://www.onvif.org/onvif/ver10/schema/onvif.xsd"
    "</tev:MessageContentSchemaLocation>"
)
_TOLD = {
    "GetEventProperties": _PROPERTIES,
    "GetServiceCapabilities": '<tev:Capabilities MaxPullPoints="4" WSPullPointSupport="true"/>',
}
