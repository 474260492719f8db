"""Plans of recording as one cell of a list holds them: written by people, saved by the console.

`off`, `always`, `event`, or hours such as `mon-fri 08:00-18:00; sat,sun 09:00-12:00`; `sub` or
`main` behind it says which stream.
"""

import re
import unicodedata

from pydantic import ValidationError

from camera_hub.devices.recording_plan import RecordingPlan
from core.weekly import DAYS

_MODES = ("off", "always", "event")
_SAID_OTHERWISE = {
    "daily": "mon-sun", "每天": "mon-sun", "工作日": "mon-fri", "周末": "sat-sun",
    **{f"周{name}": day for name, day in zip("一二三四五六日", DAYS, strict=True)}, "周天": "sun",
}  # fmt: skip
_HOURS = re.compile(r"(\d{1,2}:\d\d)\s*-\s*(\d{1,2}:\d\d)")


class NotAPlanError(ValueError):
    """A text that is no plan of recording; says what there is."""

    def __init__(self) -> None:
        super().__init__(
            "recording: write off, always, event, or hours such as 'mon-fri 08:00-18:00; sat "
            "09:00-12:00', and main or sub behind it."
        )


def plan_named(said: str) -> RecordingPlan:
    """Return the plan of a short text; see the module.

    Raises:
        NotAPlanError: it is none.
    """
    # Spreadsheets in Chinese write wide colons and semicolons, and dashes of every length.
    text = re.sub(r"[–—~至到]", "-", unicodedata.normalize("NFKC", said).strip().lower())
    words = text.split()
    role = words.pop() if len(words) > 1 and words[-1] in ("main", "sub") else "main"
    plan: dict[str, object] = {"role": role}
    if words and len(words) == 1 and words[0] in _MODES:
        plan["mode"] = words[0]
    else:
        pieces = [piece for piece in " ".join(words).split(";") if piece.strip()]
        plan |= {"mode": "schedule", "schedule": [_window(piece) for piece in pieces]}
        if not pieces:
            raise NotAPlanError
    try:
        return RecordingPlan.model_validate(plan)
    except ValidationError:
        raise NotAPlanError from None


def _window(piece: str) -> dict[str, object]:
    hours = _HOURS.search(piece)
    if hours is None or piece[hours.end() :].strip():
        raise NotAPlanError
    days = [day for said in piece[: hours.start()].split(",") for day in _days(said.strip())]
    start, end = (time.zfill(5) for time in hours.groups())
    # The end of the day may be said in two ways.
    return {"days": days, "from": start, "to": "00:00" if end == "24:00" else end}


def _days(said: str) -> tuple[str, ...]:
    first, dash, last = (
        _SAID_OTHERWISE.get(part.strip(), part.strip()) for part in said.partition("-")
    )
    if not dash:
        first, dash, last = first.partition("-")
    if first not in DAYS or (dash and last not in DAYS):
        raise NotAPlanError
    begin = DAYS.index(first)
    count = (DAYS.index(last) - begin) % 7 + 1 if dash else 1
    return tuple(DAYS[(begin + n) % 7] for n in range(count))


def plan_text(plan: RecordingPlan) -> str:
    """Return the text that `plan_named` reads; seconds before and after an event are not in it.

    "" for hours of which there are none.
    """
    said: str = plan.mode
    if plan.mode == "schedule":
        said = "; ".join(
            f"{_days_text(window.days)} {window.start:%H:%M}-{window.end:%H:%M}"
            for window in plan.schedule
        )
    return f"{said} sub" if said and plan.role == "sub" else said


def _days_text(days: tuple[str, ...]) -> str:
    """Return days by name, three and more in a row as a range."""
    runs: list[list[int]] = []
    for number in sorted(DAYS.index(day) for day in days):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(
        f"{DAYS[run[0]]}-{DAYS[run[-1]]}"
        if len(run) > 2
        else ",".join(DAYS[number] for number in run)
        for run in runs
    )
