"""Frames of SIA DC-09: `LF crc 0LLL "id" seq Rrcvr Lpref #acct [data] timestamp CR`.

After ANSI/SIA DC-09-2021. The CRC is that of the standard's annex (polynomial 0x8005 reflected,
start 0), over everything from the first quotation mark to the character before CR.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

LF, CR = b"\n", b"\r"
MAX_FRAME = 4 + 4 + 0xFFF
"""Bytes between LF and CR: CRC, length, and what three hexadecimal digits can count."""

_HEAD = re.compile(
    r'"(?P<star>\*?)(?P<id>[A-Z0-9-]{1,16})"(?P<seq>[0-9]{4})'
    r"(?P<rcvr>R[0-9A-Fa-f]{0,6})?(?P<pref>L[0-9A-Fa-f]{0,6})?"
    r"(?:#(?P<acct>[0-9A-Fa-f]{1,16}))?\[(?P<rest>.*)",
    re.DOTALL,
)
_STAMP = re.compile(r"_(\d\d:\d\d:\d\d,\d\d-\d\d-\d{4})$")
_STAMP_FORMAT = "%H:%M:%S,%m-%d-%Y"


def _shifted(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (0xA001 if value & 1 else 0)
    return value


_CRC_TABLE = tuple(_shifted(start) for start in range(256))


class FrameError(ValueError):
    """These bytes are no frame, or were changed on the way; a receiver is silent about them."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. `rest` is all that follows the first `[`: in the clear, or hexadecimal."""

    id: str
    encrypted: bool
    sequence: str
    receiver: str
    line: str
    account: str
    rest: str


@dataclass(frozen=True, slots=True)
class Content:
    """What a frame says. `account` is repeated inside by some panels, else ""."""

    account: str
    data: str
    extended: tuple[str, ...]
    stamp: str
    at: datetime | None


def crc16(data: bytes) -> int:
    """Return the CRC of DC-09 over `data`."""
    value = 0
    for byte in data:
        value = (value >> 8) ^ _CRC_TABLE[(value ^ byte) & 0xFF]
    return value


def read_frame(raw: bytes) -> Frame:
    """Return the frame in `raw`, the bytes between LF and CR.

    Raises:
        FrameError: it is none, or its CRC or its length is wrong.
    """
    if not 8 < len(raw) <= MAX_FRAME:
        raise FrameError("length")
    head, body = raw[:8].decode("latin-1"), raw[8:]
    if not re.fullmatch(r"[0-9A-Fa-f]{4}0[0-9A-Fa-f]{3}", head):
        raise FrameError("head")
    if int(head[:4], 16) != crc16(body):
        raise FrameError("crc")
    if int(head[4:], 16) != len(body):
        raise FrameError("length")
    found = _HEAD.fullmatch(body.decode("latin-1"))
    if found is None:
        raise FrameError("form")
    return Frame(
        id=found["id"],
        encrypted=bool(found["star"]),
        sequence=found["seq"],
        receiver=found["rcvr"] or "",
        line=found["pref"] or "L0",
        account=(found["acct"] or "").upper(),
        rest=found["rest"],
    )


def read_content(text: str) -> Content:
    """Return the content of `text`, which follows a `[`: `#acct|data][extended]_timestamp`.

    Raises:
        FrameError: it has not that form.
    """
    data, bracket, tail = text.partition("]")
    if not bracket:
        raise FrameError("content")
    stamp = _STAMP.search(tail)
    return Content(
        account=_inner_account(data),
        data=data.rpartition("|")[2] if "|" in data else ("" if data.startswith("#") else data),
        extended=tuple(re.findall(r"\[([^\[\]]*)\]", tail)),
        stamp=stamp[1] if stamp else "",
        at=_moment(stamp[1]) if stamp else None,
    )


def _inner_account(data: str) -> str:
    found = re.match(r"#([0-9A-Fa-f]{1,16})(?:\||$)", data)
    return found[1].upper() if found else ""


def _moment(stamp: str) -> datetime | None:
    try:
        return datetime.strptime(stamp, _STAMP_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None


def stamp_of(moment: datetime) -> str:
    """Return a moment as frames carry it, in UTC."""
    return "_" + moment.astimezone(UTC).strftime(_STAMP_FORMAT)


def write_frame(body: str) -> bytes:
    """Return the whole frame around `body`, from LF to CR."""
    raw = body.encode("latin-1")
    return LF + f"{crc16(raw):04X}{len(raw):04X}".encode() + raw + CR


class Splitter:
    """Cuts a stream into frames; what stands outside of LF … CR is skipped and counted."""

    def __init__(self) -> None:
        self._kept = b""
        self.skipped = 0

    @property
    def halfway(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._kept)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the frames that `data` completes, without LF and CR."""
        found = []
        kept = self._kept + data
        while True:
            start = kept.find(LF)
            if start < 0:
                self.skipped += len(kept)
                kept = b""
                break
            self.skipped += start
            kept = kept[start + 1 :]
            end = kept.find(CR)
            again = kept.find(LF, 0, end if end >= 0 else len(kept))
            if again >= 0:
                # A frame holds no LF: what began before it was cut off, and this one begins there.
                self.skipped += again + 1
                kept = kept[again:]
                continue
            if end < 0:
                if len(kept) > MAX_FRAME:
                    self.skipped += len(kept) + 1
                    kept = b""
                    break
                kept = LF + kept
                break
            if end <= MAX_FRAME:
                found.append(kept[:end])
            else:
                self.skipped += end + 2
            kept = kept[end + 1 :]
        self._kept = kept
        return found
