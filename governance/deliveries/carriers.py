"""The ways out over HTTP: Web Push (RFC 8030, 8188, 8291, 8292), and the generic gateway.

The gateway's side of the second is described in docs/design/deliveries.md.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import orjson
from py_vapid import Vapid02, VapidException  # type: ignore[import-untyped]
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from core.outbound import Answer, Outbound, OutboundAddressError, OutboundFailedError
from governance.deliveries.keys import DeliveryKeys
from governance.deliveries.outcome import Outcome, failed, of_status, unknown

PUSH_TTL_S = 4 * 3600
"""How long a push service keeps a message for a phone that is off."""

_VAPID_FOR_S = 12 * 3600  # at most a day (RFC 8292, section 2)
_GONE = frozenset({404, 410})


@dataclass(frozen=True, slots=True)
class Push:
    """One message to one browser: its subscription as the browser gave it, and the payload."""

    subscription: Mapping[str, Any]
    payload: Mapping[str, Any]
    topic: UUID


@dataclass(frozen=True, slots=True)
class GatewayMessage:
    """One message for a gateway of kind `http`; `id` is what it tells repetitions by."""

    id: UUID
    url: str
    secret: str
    body: Mapping[str, Any]
    at: datetime


class WebCarrier:
    """Sends both. `contact` is a mailto: or https: address, for push services."""

    def __init__(self, outbound: Outbound, keys: DeliveryKeys, contact: str) -> None:
        self._outbound = outbound
        self._keys = keys
        self._contact = contact

    async def push(self, message: Push, now: datetime, timeout_s: float) -> Outcome:
        """Push `message`, encrypted for its browser.

        A repetition has the same topic and tag, so it takes the place of the first.
        """
        # Imported when the first browser is told: it brings a second HTTP client with it.
        from pywebpush import WebPusher, WebPushException  # type: ignore[import-untyped]

        try:
            endpoint = str(message.subscription["endpoint"])
            body = WebPusher(dict(message.subscription)).encode(orjson.dumps(message.payload))
            headers = self._push_headers(endpoint, message.topic, now)
        except (WebPushException, VapidException, ValueError, KeyError, TypeError) as error:
            return failed("bad-subscription", type(error).__name__, permanent=True)
        answer = await self._post(endpoint, bytes(body["body"]), headers, timeout_s)
        if isinstance(answer, Outcome):
            return answer
        if answer.status in _GONE:
            return Outcome("failed", "subscription-gone", permanent=True, gone=True)
        if 200 <= answer.status < 300:
            return Outcome("sent", provider_ref=answer.headers.get("location", "")[:200])
        return of_status(answer.status, answer.headers)

    async def gateway(self, message: GatewayMessage, timeout_s: float) -> Outcome:
        """Hand `message` to a gateway, signed with its secret (Standard Webhooks)."""
        content = orjson.dumps(message.body)
        try:
            headers = signed(message.secret, str(message.id), message.at, content)
        except ValueError:
            return failed("bad-secret", "the gateway's secret cannot be used", permanent=True)
        headers["Idempotency-Key"] = str(message.id)
        answer = await self._post(message.url, content, headers, timeout_s)
        if isinstance(answer, Outcome):
            return answer
        if 200 <= answer.status < 300:
            return Outcome("sent", provider_ref=_reference(answer.body))
        return of_status(answer.status, answer.headers)

    async def _post(
        self, url: str, content: bytes, headers: Mapping[str, str], timeout_s: float
    ) -> Answer | Outcome:
        try:
            return await self._outbound.post(url, content, headers, timeout_s=timeout_s)
        except OutboundAddressError as error:
            return failed("address-refused", error.message, permanent=True)
        except OutboundFailedError as error:
            if error.timed_out:
                return unknown("timeout", "the provider did not answer in time")
            return failed("unreachable", "the provider could not be reached")

    def _push_headers(self, endpoint: str, topic: UUID, now: datetime) -> dict[str, str]:
        parts = urlsplit(endpoint)
        claims = {
            "aud": f"{parts.scheme}://{parts.netloc}",
            "sub": self._contact,
            "exp": int(now.timestamp()) + _VAPID_FOR_S,
        }
        return {
            **Vapid02(private_key=self._keys.vapid).sign(claims),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(PUSH_TTL_S),
            "Urgency": "high",
            "Topic": base64.urlsafe_b64encode(topic.bytes).rstrip(b"=").decode(),
        }


def signed(secret: str, message_id: str, at: datetime, content: bytes) -> dict[str, str]:
    """Return the headers by which a receiver knows that `content` comes from here.

    Raises:
        ValueError: the secret is not base64, or empty.
    """
    try:
        signature = Webhook(secret).sign(message_id, at, content.decode())
    except (EmptyWebhookSecretError, binascii.Error) as error:
        raise ValueError("the secret is not base64") from error
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
    }


def _reference(body: bytes) -> str:
    """Return what the gateway calls the message, if its answer says so: `{"ref": …}`."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    reference = found.get("ref") if isinstance(found, dict) else None
    return str(reference)[:200] if isinstance(reference, str | int) else ""
