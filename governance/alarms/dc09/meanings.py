"""What the codes of panels mean here: an alarm, a fault, a sign of life, or nothing to anybody.

SIA two-letter codes (DC-03) and Contact ID (DC-05). Who arms a home, and when, is acknowledged to
the panel and forgotten: it is about people's comings and goings.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

from pysiaalarm.data.adm_mapping import ADM_MAPPING
from pysiaalarm.data.sia_codes import SIA_CODES

from core.text import cleaned
from governance.alarms.schemas import AlarmKind

What = Literal["alarm", "restored", "test", "fault", "mended", "alive", "other", "unknown"]

_RANK: tuple[What, ...] = (
    "alarm", "test", "fault", "restored", "mended", "alive", "other", "unknown",
)  # fmt: skip

_ALARMS: dict[AlarmKind, str] = {
    "fire": "FA KA SA GA",
    "medical": "MA QA",
    "security": "PA HA BA BV BM TA UA EA",
}
_RESTORED: dict[AlarmKind, str] = {
    "fire": "FH FR KH KR SH SR GH GR",
    "medical": "MH MR QH QR",
    "security": "PH PR HH HR BH BR TR TJ UH UR",
}
_BATTERY = frozenset({"YT", "YM", "XT"})
_FAULTS = "YT YM XT AT LT YC YS FT PT HT BT UT MT QT KT ST ET XL"
_MENDED = "YR XR AR LR YK FJ PJ HJ BJ UJ MJ QJ KJ SJ ER"
_ALIVE = "RP TX RN RR"
_TEST = "RX FX BX"

_CID_ALARMS: tuple[tuple[range, AlarmKind], ...] = (
    (range(100, 110), "medical"),
    (range(110, 120), "fire"),
    (range(120, 150), "security"),
    (range(151, 152), "fire"),  # gas
    (range(158, 159), "fire"),  # heat
    (range(162, 163), "fire"),  # carbon monoxide
    (range(150, 151), "security"),
)
_CID_BATTERY = frozenset({302, 309, 311, 338, 384})
_CID_EVENT = re.compile(r"([136])(\d{3})\s*(\d{2})\s*(\d{3})")
_SIA_EVENT = re.compile(r"([A-Z]{2})([0-9A-Fa-f]{0,6})(?:[\^*\"](.*?)[\^\"]?)?$")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one event of a panel means. `battery`: the fault is an empty one."""

    what: What
    code: str
    alarm: AlarmKind | None = None
    zone: str = ""
    text: str = ""
    battery: bool = False


UNKNOWN = Meaning("unknown", "")


def meaning_of(frame_id: str, data: str) -> Meaning:
    """Return the weightiest meaning in the data of a frame; `unknown` if nothing is understood."""
    if frame_id == "NULL":
        return Meaning("alive", "NULL")
    found = _contact_id(data) if frame_id == "ADM-CID" else _sia(data)
    return min(found, key=lambda meaning: _RANK.index(meaning.what), default=UNKNOWN)


def _sia(data: str) -> list[Meaning]:
    """Read `N` or `O` (new, old), then modifiers in small letters and events, between slashes."""
    if data[:1] in {"N", "O"}:
        data = data[1:]
    found = []
    for part in data.split("/"):
        # Modifiers (ri01, id05, ti12:00) may stand before the code without a slash.
        event = re.sub(r"^(?:[a-z]{2}[0-9:.,-]*)+", "", part)
        match = _SIA_EVENT.match(event)
        if match is not None:
            what, kind = _sia_codes().get(match[1], ("unknown", None))
            found.append(
                Meaning(
                    what, match[1], kind, match[2], cleaned(match[3] or ""), match[1] in _BATTERY
                )
            )
    return found


@cache
def _sia_codes() -> dict[str, tuple[What, AlarmKind | None]]:
    # What the library has a name for and nobody is to be told of is understood, and no more.
    found: dict[str, tuple[What, AlarmKind | None]] = {code: ("other", None) for code in SIA_CODES}
    simple: tuple[tuple[What, str], ...] = (
        ("fault", _FAULTS),
        ("mended", _MENDED),
        ("alive", _ALIVE),
        ("test", _TEST),
    )
    for what, codes in simple:
        found.update(dict.fromkeys(codes.split(), (what, None)))
    for kind, codes in _ALARMS.items():
        found.update(dict.fromkeys(codes.split(), ("alarm", kind)))
    for kind, codes in _RESTORED.items():
        found.update(dict.fromkeys(codes.split(), ("restored", kind)))
    return found


def _contact_id(data: str) -> list[Meaning]:
    """Read `Q EEE GG CCC`: qualifier, event, partition, zone."""
    match = _CID_EVENT.search(data)
    if match is None:
        return []
    qualifier, number, zone = match[1], int(match[2]), match[4]
    code = match[1] + match[2]
    # 6 repeats what was reported before: an alarm that lasts is an alarm.
    over = qualifier == "3"
    for numbers, kind in _CID_ALARMS:
        if number in numbers:
            return [Meaning("restored" if over else "alarm", code, kind, zone)]
    battery = number in _CID_BATTERY
    if 300 <= number < 400:
        return [Meaning("mended" if over else "fault", code, None, zone, battery=battery)]
    if number in {602, 603}:
        return [Meaning("alive", code)]
    if number in {601, 604, 609}:
        return [Meaning("test", code, None, zone)]
    known = 400 <= number < 700 or match[2] in ADM_MAPPING
    return [Meaning("other" if known else "unknown", code, None, zone)]
