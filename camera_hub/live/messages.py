"""What the API and its media workers say to each other, and what a browser is told."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from camera_hub.live.muxer import Fragment, Init, LiveItem, StateChange
from camera_hub.streams.painting import RENDITIONS, Rendition
from camera_hub.streams.types import ReasonCode, StreamRole, StreamState
from camera_hub.streams.wire import Message, WireError, encode
from core.errors import InvalidInputError

CONNECT_TIMEOUT_S = 3.0

StreamKey = tuple[UUID, StreamRole, Rendition, str, bool]
"""Which stream of which camera, how it is shown, with which masks ("": whichever), with sound?"""


async def connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a worker.

    Raises:
        OSError, TimeoutError: it is not there.
    """
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        return await asyncio.open_unix_connection(address.removeprefix("unix:"))


def request(op: str, key: StreamKey) -> bytes:
    """Return a worker's request, `live` or `snapshot`, ready to be sent."""
    camera_id, stream, rendition, masks, sound = key
    wanted = {"stream": stream, "rendition": rendition, "masks": masks, "sound": sound}
    return encode({"op": op, "camera_id": str(camera_id), **wanted})


def known_rendition(rendition: Rendition) -> Rendition:
    """Return `rendition` if there is such a one.

    Raises:
        InvalidInputError: code `unknown-rendition`.
    """
    if rendition not in RENDITIONS:
        raise InvalidInputError(
            f"A camera cannot be shown as '{rendition}'.", code="unknown-rendition"
        )
    return rendition


def refusal(header: dict[str, Any]) -> StateChange | None:
    """Return what viewers are told of a worker's refusal; None when it has not the camera yet."""
    code = header.get("code")
    if code == "unknown-camera":
        return None
    reason = ReasonCode.RAW_REFUSED if code == "raw-refused" else ReasonCode.RENDITION_FAILED
    return StateChange(StreamState.STALLED, reason, str(header.get("message", "")))


def read_item(message: Message) -> LiveItem | None:
    """Return what a worker's message means; None for one that says nothing to viewers.

    Raises:
        WireError: the message is not one of those agreed.
    """
    header, payload = message
    try:
        match header.get("type"):
            case "fragment":
                return Fragment(header["keyframe"], datetime.fromisoformat(header["at"]), payload)
            case "init":
                return Init(header["codec"], header["width"], header["height"], payload)
            case "state":
                return StateChange(
                    StreamState(header["state"]),
                    ReasonCode(header["reason_code"]),
                    header["reason"],
                )
            case _:
                return None
    except (KeyError, ValueError) as error:
        raise WireError("A worker sent a message that is not agreed on.") from error


def text_of(item: Init | StateChange) -> str:
    """Return what a browser is told of an init segment or a state, as JSON."""
    if isinstance(item, Init):
        body: dict[str, Any] = {
            "type": "init",
            "mime": f'video/mp4; codecs="{item.codec}"',
            "width": item.width,
            "height": item.height,
        }
    else:
        body = {
            "type": "state",
            "state": item.state.value,
            "reason_code": item.reason_code.value,
            "reason": item.reason,
        }
    return orjson.dumps(body).decode()
