"""Messages of RTSP 1.0 (RFC 2326 section 4): written, and read with bounds on everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

MAX_HEAD = 16 * 1024
MAX_BODY = 128 * 1024
_HEAD_END = b"\r\n\r\n"


class ProtocolError(Exception):
    """What the camera sent is no RTSP; the message holds nothing of it."""


@dataclass(slots=True)
class Message:
    """An answer (`status` is not 0) or a request of the camera (`method` is not empty).

    `headers` have lower-case names; several of one name keep their order.
    """

    status: int = 0
    method: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def get(self, name: str) -> str:
        """Return the first header of this name (lower case), empty if there is none."""
        return next((value for key, value in self.headers if key == name), "")

    def all(self, name: str) -> list[str]:
        """Return all headers of this name (lower case)."""
        return [value for key, value in self.headers if key == name]

    @property
    def good(self) -> bool:
        """Whether it is an answer that says yes."""
        return 200 <= self.status < 300

    @property
    def sequence(self) -> int:
        """The number of the request that this answers; -1 if it says none."""
        text = self.get("cseq")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


def read_message(data: bytes, start: int = 0) -> tuple[Message, int] | None:
    """Read one message that begins at `start`; return it and where it ends, None if incomplete.

    Raises:
        ProtocolError: it is no RTSP message, or longer than any camera has reason to send.
    """
    end = data.find(_HEAD_END, start, start + MAX_HEAD)
    ending = len(_HEAD_END)
    if end < 0:
        # Some cameras end their lines with a bare line feed.
        end = data.find(b"\n\n", start, start + MAX_HEAD)
        ending = 2
    if end < 0:
        _check_start(data[start : start + 16])
        if len(data) - start >= MAX_HEAD:
            raise ProtocolError("a head without an end")
        return None
    lines = data[start:end].decode("utf-8", "replace").splitlines()
    message = _first_line(lines[0] if lines else "")
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            message.headers.append((name.strip().lower(), _clean(value)))
    size = _content_length(message)
    body_start = end + ending
    if len(data) - body_start < size:
        return None
    message.body = data[body_start : body_start + size]
    return message, body_start + size


def write_request(
    method: str, uri: str, sequence: int, headers: Sequence[tuple[str, str]]
) -> bytes:
    """Return a request without a body; headers with an empty value are left out."""
    lines = [f"{method} {uri} RTSP/1.0", f"CSeq: {sequence}", "User-Agent: Camera Hub"]
    lines += [f"{name}: {value}" for name, value in headers if value]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _check_start(start: bytes) -> None:
    if not (start.startswith(b"RTSP/"[: len(start)]) or start[:1].isupper()):
        raise ProtocolError("something that is no RTSP")
    if start.startswith(b"HTTP"):
        raise ProtocolError("something that is no RTSP")


def _first_line(line: str) -> Message:
    words = line.split(" ", 2)
    if words[0].startswith("RTSP/") and len(words) > 1:
        if words[1].isascii() and words[1].isdigit() and len(words[1]) == 3:
            return Message(status=int(words[1]))
    elif len(words) == 3 and words[2].startswith("RTSP/") and words[0].replace("_", "").isalpha():
        return Message(method=words[0])
    raise ProtocolError("something that is no RTSP")


def _content_length(message: Message) -> int:
    text = message.get("content-length")
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) > MAX_BODY:
        raise ProtocolError("a body of impossible length")
    return int(text)


def _clean(value: str) -> str:
    # What is echoed in a later request must not be able to add lines to it.
    return "".join(c for c in value.strip() if c.isprintable())
