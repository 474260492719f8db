"""The ladder of an alarm: received, seen, coming, arrived, closed, read out of its history.

Nothing is stored for it: what people did is in the history of the incident, and of the one that
it was merged into. So the ladder is right after a restart, a reopening or a merger too.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

from governance.alarms.presses import TYPE, device_of
from governance.alarms.repository import PressRow
from governance.alarms.schemas import AlarmKind, AlarmOut, LadderStep, NewsOut
from governance.alarms.texts import say
from governance.incidents.models import Incident, IncidentLog
from governance.signals.reading import ReadSignal
from governance.signals.schemas import SignalReceipt

_SEEING = ("acknowledge", "handle", "progress")
_ENDING = ("close", "verify", "recovered", "reject", "closed", "rejected")
_NEWS = {
    "rang": "rang",
    "whistle": "whistled",
    "whistled": "whistled",
    "cancel_asked": "cancel_asked",
    "location": "location",
    "ended": "restored",
    "reopen": "reopened",
    "merge": "merged",
    "joined": "pressed_again",
}
_OWN_ONLY = {"merged", "pressed_again"}
_MOST_NEWS = 30


def alarm_of(
    row: PressRow, target: Incident, history: Sequence[IncidentLog], language: str
) -> AlarmOut:
    """Return an alarm as its household sees it.

    Args:
        row: the press.
        target: the incident that is worked on: the press's own, or that which it was merged into.
        history: of both, oldest first.
        language: of the news, `en` or `zh-CN`.
    """
    signal, incident = row
    data: dict[str, Any] = signal.payload.get("data", {})
    asked = [entry.at for entry in history if entry.action == "cancel_asked"]
    return AlarmOut(
        id=signal.event_id,
        kind=cast(AlarmKind, signal.type.removeprefix(TYPE)),
        status=cast(Literal["Actual", "Test", "Exercise"], incident.status.capitalize()),
        incident_id=target.id,
        number=target.number,
        device_id=device_of(signal.source),
        pressed_at=signal.occurred_at,
        received_at=signal.received_at,
        open=target.is_open,
        steps=_steps(signal.received_at, target, history),
        news=_news(incident, history, language)[-_MOST_NEWS:],
        cancel_asked_at=asked[0] if asked else None,
        warnings=[str(word) for word in data.get("warnings", [])],
    )


def raised(signal: ReadSignal, receipt: SignalReceipt, number: str) -> AlarmOut:
    """Return an alarm that its press has opened this moment: received, and nothing else yet.

    What `alarm_of` returns for the rows that were written, without reading them.

    Args:
        signal: of the press.
        receipt: of that signal.
        number: of the incident that it has opened.
    """
    assert receipt.incident_id is not None
    event, data = signal.event, signal.payload["data"]
    pressed_at = event.data.observed_at or event.time or receipt.received_at
    return AlarmOut(
        id=event.id,
        kind=cast(AlarmKind, event.type.removeprefix(TYPE)),
        status=cast(Literal["Actual", "Test", "Exercise"], event.data.status),
        incident_id=receipt.incident_id,
        number=number,
        device_id=device_of(event.source),
        pressed_at=pressed_at.astimezone(UTC),
        received_at=receipt.received_at,
        open=True,
        steps=[LadderStep(step="received", at=receipt.received_at)],
        news=[],
        cancel_asked_at=None,
        warnings=[str(word) for word in data.get("warnings", [])],
    )


def _steps(
    received_at: datetime, target: Incident, history: Sequence[IncidentLog]
) -> list[LadderStep]:
    seen = next((e for e in history if e.action in _SEEING and e.actor_id is not None), None)
    found = [LadderStep(step="received", at=received_at)]
    if seen is not None:
        found.append(LadderStep(step="seen", at=seen.at, by=seen.actor_name))
    # Reopened, or given to somebody else: what the last ones said of their way holds no longer.
    found += _way(history) if target.progress is not None else []
    if not target.is_open:
        closing = next((e for e in reversed(history) if e.action in _ENDING), None)
        found.append(
            LadderStep(
                step="closed",
                at=target.closed_at or (closing.at if closing else target.last_signal_at),
                by=closing.actor_name if closing else "",
            )
        )
    return found


def _way(history: Sequence[IncidentLog]) -> list[LadderStep]:
    """Return how far those who go have come, since they set out last."""
    reopened = max((n for n, e in enumerate(history) if e.action == "reopen"), default=-1)
    said = [e for e in history[reopened + 1 :] if e.action == "progress"]
    set_out = max((n for n, e in enumerate(said) if e.data.get("progress") == "going"), default=-1)
    found = []
    if set_out >= 0:
        going = said[set_out]
        found.append(
            LadderStep(step="coming", at=going.at, by=going.actor_name, eta_at=_eta(going))
        )
    there = next(iter(said[set_out + 1 :]), None)
    if there is not None:
        found.append(LadderStep(step="arrived", at=there.at, by=there.actor_name))
    return found


def _eta(entry: IncidentLog) -> datetime | None:
    minutes = entry.data.get("minutes")
    return entry.at + timedelta(minutes=minutes) if isinstance(minutes, int | float) else None


def _news(incident: Incident, history: Sequence[IncidentLog], language: str) -> list[NewsOut]:
    found = []
    for entry in history:
        what, by, text = _told(incident, entry, language)
        if what:
            found.append(NewsOut(at=entry.at, what=what, by=by, text=text))
    return found


def _told(incident: Incident, entry: IncidentLog, language: str) -> tuple[str, str, str]:
    """Return what an entry of the history is to the household; "" if it is nothing to it."""
    if entry.action == "contact_answered":
        return _answer(entry, language)
    what = _NEWS.get(entry.action, "")
    first_ring = what == "rang" and not entry.data.get("step")
    of_another = what in _OWN_ONLY and entry.incident_id != incident.id
    if not what or first_ring or of_another:
        return "", "", ""
    return what, entry.actor_name if what == "reopened" else "", say(what, language)


def _answer(entry: IncidentLog, language: str) -> tuple[str, str, str]:
    by = str(entry.data.get("by") or entry.actor_name)
    answer, minutes = entry.data.get("answer"), entry.data.get("minutes")
    key = f"contact_{answer}" if answer in {"coming", "cannot"} else "contact_seen"
    if key == "contact_coming" and isinstance(minutes, int):
        key = "contact_coming_in"
    return "contact_answered", by, say(key, language, by=by, minutes=minutes)
