"""Signed messages of buttons that speak MQTT: HMAC-SHA256 with the device's own key.

A broker passes on whatever its other clients send, so what counts is the signature. It covers the
word of the topic and every member of the message, written canonically: members sorted by name, no
blanks, UTF-8; values are texts, whole numbers, true, false and null.
"""

import hashlib
import hmac
from typing import Any

import orjson

MAX_MESSAGE = 4096
_MAX_MEMBERS = 20
_LARGEST = 2**53
_SCALARS = (str, int, bool, type(None))


class UnsignedError(ValueError):
    """A message that does not count; the text is a reason to be counted by, without a secret."""


def canonical(message: dict[str, Any]) -> bytes:
    """Return what of `message` is signed: all but its `mac`."""
    return orjson.dumps(
        {name: value for name, value in message.items() if name != "mac"},
        option=orjson.OPT_SORT_KEYS,
    )


def sign(word: str, message: dict[str, Any], key: bytes) -> str:
    """Return the `mac` of a message for the topic that ends in `word`."""
    return hmac.new(key, f"{word}\n".encode() + canonical(message), hashlib.sha256).hexdigest()


def read_signed(word: str, payload: bytes, key: bytes) -> dict[str, Any]:
    """Return the message in `payload` if the holder of `key` has made it for this topic.

    Raises:
        UnsignedError: it is too large, no such message, or its signature is wrong.
    """
    if len(payload) > MAX_MESSAGE:
        raise UnsignedError("large")
    try:
        message = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise UnsignedError("form") from error
    if not isinstance(message, dict) or len(message) > _MAX_MEMBERS:
        raise UnsignedError("form")
    for value in message.values():
        if not isinstance(value, _SCALARS) or (isinstance(value, int) and abs(value) > _LARGEST):
            raise UnsignedError("form")
    mac = message.get("mac")
    if not isinstance(mac, str) or not mac.isascii():
        raise UnsignedError("unsigned")
    if not hmac.compare_digest(mac.lower(), sign(word, message, key)):
        raise UnsignedError("signature")
    return message
