"""The ways out that Apprise knows: mail, providers of SMS, and robots of chat rooms.

An address of Apprise is configuration that a person enters, so it is held to a list: for each
channel only services that carry that channel, none that runs programs or writes files, and only
the parameters named here. The recipient becomes the service's target as a value, never as text
inside of an address.
"""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.clock import Clock
from core.errors import InvalidInputError
from governance.deliveries.outcome import Outcome, failed, unknown

if TYPE_CHECKING:
    # Imported when the first gateway of its kind is entered or asked: most sites have none.
    from apprise import NotifyBase

SCHEMAS: dict[str, frozenset[str]] = {
    "email": frozenset(
        {"mailto", "mailtos", "mailgun", "sendgrid", "smtp2go", "brevo", "resend", "postmark"}
    ),
    "sms": frozenset(
        {"twilio", "vonage", "clickatell", "msgbird", "sinch", "plivo", "sns", "d7sms", "bulksms",
         "clicksend", "46elks", "seven", "burstsms", "telnyx", "smsmanager"}
    ),
    "wecom": frozenset({"wecombot"}),
    "dingtalk": frozenset({"dingtalk"}),
    "feishu": frozenset({"feishu", "lark"}),
}  # fmt: skip
"""Services of Apprise that each channel may use."""

# Of what an address may say: where it leads and who sends. Files, copies, and texts of its own
# have no place in an alarm.
_KEPT = frozenset(
    {
        "schema", "host", "port", "user", "password", "secure", "verify", "url",
        "smtp_host", "from_addr", "from_email", "from_name", "secure_mode", "reply_to",
        "apikey", "secret", "token", "key", "source", "sender", "region_name", "account_sid",
        "auth_token", "access_key_id", "secret_access_key", "service_plan_id", "api_token",
        "auth_id", "unicode", "profile", "region",
    }
)  # fmt: skip
_IGNORED = frozenset({"qsd", "qsd+", "qsd-", "qsd:", "query", "fullpath", "path", "targets",
                      "rto", "cto", "format", "overflow", "emojis", "interpret_escapes",
                      "tz", "redirect", "store", "batch", "tags"})  # fmt: skip
_ASKED = frozenset({"smtp", "from", "mode", "name", "reply", "verify", "source", "sender", "region",
                    "apikey", "secret", "token", "key", "unicode", "sid"})  # fmt: skip
_ROBOTS = frozenset({"wecombot", "feishu", "lark"})  # they have no targets
_THREADS = 128
"""As many as the sender asks at once (`LIMIT`): no dead provider takes another's."""

_log = logging.getLogger("apprise")
# It names recipients in its lines.
_log.propagate = False
_log.disabled = True


class GatewayAddressError(InvalidInputError):
    """An address of Apprise that this channel does not take (422)."""

    code = "gateway-address"


def read_address(channel: str, url: str) -> dict[str, Any]:
    """Return what `url` says, as the service's own parser reads it, without targets.

    Raises:
        GatewayAddressError: another service, a parameter that is not taken, or no such address.
    """
    schema = url.partition("://")[0].strip().lower()
    allowed = SCHEMAS.get(channel, frozenset())
    if schema not in allowed:
        raise GatewayAddressError(
            f"A gateway for {channel} cannot begin with {schema[:20]!r}.",
            remedy=f"Use one of: {', '.join(sorted(allowed))}."
            if allowed
            else "Use a gateway of kind http.",
        )
    found = _plugin(schema).parse_url(url)
    if not found:
        raise GatewayAddressError(
            "The address of the gateway cannot be read.",
            remedy=f"Compare it with what Apprise says of {schema}://.",
        )
    foreign = {name for name, value in found.items() if value and name not in _KEPT | _IGNORED}
    asked = set(found.get("qsd") or ()) - _ASKED
    if foreign or asked:
        raise GatewayAddressError(
            f"The address of the gateway holds {min(foreign | asked)!r}, which is not taken.",
            remedy="Leave it out.",
        )
    kept = {name: value for name, value in found.items() if name in _KEPT}
    _instance(kept, "", 1.0)
    return kept


def _plugin(schema: str) -> Any:
    from apprise.manager_plugins import NotificationManager

    manager = NotificationManager()  # type: ignore[no-untyped-call]
    if schema not in manager:
        raise GatewayAddressError(
            f"This hub's Apprise does not know {schema}://.", remedy="Choose another service."
        )
    return manager[schema]


def _instance(said: Mapping[str, Any], to: str, timeout_s: float) -> "NotifyBase":
    """Return the service, with `to` as its only target.

    Raises:
        GatewayAddressError: the service refuses what the address says, or the target.
    """
    from apprise import Apprise, AppriseAsset, NotifyBase
    from apprise.common import PersistentStoreMode

    options = {**said, "rto": timeout_s, "cto": timeout_s}
    if to and said["schema"] not in _ROBOTS:
        options["targets"] = [to]
    asset = AppriseAsset(
        app_id="Camera Hub",
        secure_logging=True,
        async_mode=False,
        storage_mode=PersistentStoreMode.MEMORY,
    )
    made = Apprise.instantiate(options, asset=asset, suppress_exceptions=True)
    if not isinstance(made, NotifyBase):
        raise GatewayAddressError(
            "The service does not accept this address.", remedy="Check its parts and its keys."
        )
    return made


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message through Apprise: the gateway's address, and to whom ("" for a room)."""

    channel: str
    url: str
    to: str
    title: str
    body: str


class AppriseCarrier:
    """Sends through Apprise, in threads of its own: its services block."""

    def __init__(self, clock: Clock, *, allow_private: bool) -> None:
        self._clock = clock
        self._allow_private = allow_private
        self._pool = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="apprise")

    def close(self) -> None:
        """Let go of the threads; what still waits for a provider is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def send(self, message: ChatMessage, timeout_s: float) -> Outcome:
        """Send `message`. Returns when the service's thread is done.

        Apprise says only whether it went well. A failure that took as long as the timeout may
        have arrived, and is `unknown`; a quick one is a failure.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._blocking, message, timeout_s)

    def _blocking(self, message: ChatMessage, timeout_s: float) -> Outcome:
        try:
            said = read_address(message.channel, message.url)
            service = _instance(said, message.to, timeout_s)
            self._check_place(service)
        except InvalidInputError as error:
            return failed(error.code, error.message, permanent=True)
        except OSError:
            return failed("unreachable", "the name of the mail server is not known")
        began = self._clock.monotonic()
        if service.notify(body=message.body, title=message.title, body_format="text"):
            return Outcome("sent")
        if self._clock.monotonic() - began >= timeout_s * 0.9:
            return unknown("timeout", "the provider did not answer in time")
        return failed("refused", "the provider refused the message or was away")

    def _check_place(self, service: "NotifyBase") -> None:
        """Refuse a mail server inside of the own network, unless that is open.

        The other services have fixed hosts on the internet. The name is looked up again by the
        library when it connects, which a hostile name server could use; what it would reach is
        asked for SMTP only.

        Raises:
            GatewayAddressError: it may not be asked.
            OSError: the name is unknown.
        """
        host = getattr(service, "smtp_host", None)
        if not host:
            return
        for *_, place in socket.getaddrinfo(str(host), None, type=socket.SOCK_STREAM):
            address = ipaddress.ip_address(str(place[0]).partition("%")[0])
            if address.is_link_local or address.is_multicast or address.is_unspecified:
                pass
            elif address.is_global or self._allow_private:
                continue
            raise GatewayAddressError(
                f"{host} lies in your own network, where no mail server is asked.",
                remedy="Use a public one, or set deliveries.allow_private.",
            )
