"""What people say to an alert: by its link, by a reply, by a key of a telephone.

An account acknowledges with the rights it has at this moment, which a floor above looks up. What a
household's contact says is written into the history and stops nobody else's ringing. Nothing here
commits.
"""

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, cast

from sqlalchemy.ext.asyncio import AsyncSession

from access.households import repository as households
from core.clock import Clock
from core.text import cleaned
from governance.areas import repository as areas
from governance.deliveries import history, repository
from governance.deliveries.keys import hashed
from governance.deliveries.models import Delivery
from governance.deliveries.schemas import AnswerPageOut, AnswerWord
from governance.deliveries.service import Deliveries
from governance.deliveries.texts import SEPARATOR
from governance.incidents import repository as incident_rows
from governance.incidents.models import Incident

READABLE_FOR = timedelta(hours=24)
"""How long a link still shows what became of it, after the incident is over."""

_MAX_MERGES = 8

_SEEN = frozenset(
    {"1", "y", "yes", "ok", "okay", "k", "seen", "是", "是的", "好", "好的", "收到",
     "知道了", "已看到", "看到"}
)  # fmt: skip
_COMING = frozenset(
    {"2", "coming", "on my way", "omw", "来", "来了", "马上", "马上到", "马上来", "我来", "在路上"}
)
_CANNOT = frozenset(
    {"3", "no", "n", "cannot", "can't", "否", "不", "不行", "不能", "来不了", "没空"}
)
_BY_DIGIT: dict[str, AnswerWord] = {"1": "seen", "2": "coming", "3": "cannot"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody says; `by` is how it came."""

    word: AnswerWord
    minutes: int | None = None
    by: Literal["link", "reply", "digit"] = "link"


def read_reply(text: str) -> AnswerWord | None:
    """Return what a short reply means; None if it cannot be told."""
    plain = unicodedata.normalize("NFKC", text).strip().casefold().strip(" .!。！,，~")
    if plain in _SEEN:
        return "seen"
    if plain in _COMING:
        return "coming"
    return "cannot" if plain in _CANNOT else None


def read_digit(digit: str) -> AnswerWord | None:
    """Return what a key means; None if it is no answer."""
    return _BY_DIGIT.get(digit.strip())


class Answers:
    """Finds what a link belongs to, shows it, and writes down what is said."""

    def __init__(self, clock: Clock, deliveries: Deliveries) -> None:
        self._clock = clock
        self._deliveries = deliveries

    async def find(self, session: AsyncSession, token: str) -> Delivery | None:
        """Return the newest attempt whose link has this secret."""
        return await repository.by_answer(session, hashed(token))

    async def page(self, session: AsyncSession, row: Delivery) -> AnswerPageOut:
        """Return what the link shows; looking changes nothing."""
        incident = await incident_of(session, row)
        state = self._state(incident)
        if row.recipient_kind == "contact" and row.incident_id is not None:
            # What it was merged into may be none of the household's business: only its end is.
            incident = await incident_rows.by_id(session, row.incident_id)
        if incident is None or state == "expired":
            return AnswerPageOut(state="expired")
        home = ""
        if incident.household_id is not None:
            names = await households.names(session, {incident.household_id})
            home = names.get(incident.household_id, "")
        contact = row.recipient_kind == "contact"
        outside = incident.household_id is None
        spot = (incident.zone_name or incident.camera_name) if outside else ""
        area = "" if contact else await areas.spoken(session, incident.area)
        return AnswerPageOut(
            state=state,
            headline=cleaned(incident.headline),
            kind=incident.kind,
            severity=incident.severity,
            status=incident.status,
            number="" if contact else incident.number,
            place=cleaned(SEPARATOR.join(part for part in (area, home, spot) if part)),
            household_name=cleaned(home),
            camera_name=cleaned(incident.camera_name) if outside else "",
            zone_name=cleaned(incident.zone_name) if outside else "",
            opened_at=incident.opened_at,
            name=row.recipient_name,
            answer=cast(AnswerWord | None, row.answer),
            answered_at=row.answered_at,
            eta_at=row.eta_at,
        )

    def may_answer(self, incident: Incident | None) -> bool:
        """Say whether an answer still counts."""
        return self._state(incident) == "open"

    async def note(
        self, session: AsyncSession, incident: Incident, row: Delivery, answer: Answer
    ) -> None:
        """Write down what `row`'s recipient says, and ring it no more; `incident` is locked.

        Of an account the step itself (acknowledge, progress) is the caller's.
        """
        now = self._clock.now()
        eta = None
        if answer.word == "coming" and answer.minutes is not None:
            eta = now + timedelta(minutes=answer.minutes)
        if row.answer_hash is not None:
            await repository.answer(session, row.answer_hash, answer.word, now, eta)
        await repository.cancel_of_recipient(
            session, incident.id, row.recipient_id, now, "answered"
        )
        contact = row.recipient_kind == "contact"
        if not contact and answer.word != "cannot":
            return  # the history has the acknowledgement or the progress itself
        data: dict[str, object] = {
            "by": row.recipient_name,
            "answer": answer.word,
            "how": answer.by,
            "channel": row.channel,
        }
        if eta is not None:
            data["minutes"] = answer.minutes
        await history.note(
            session,
            incident,
            "contact_answered" if contact else "answered",
            at=now,
            actor_name=row.recipient_name,
            data=data,
        )

    async def note_text(
        self, session: AsyncSession, incident: Incident, row: Delivery, text: str
    ) -> None:
        """Keep a reply that is no answer, for people to read; `incident` is locked."""
        await history.note(
            session,
            incident,
            "replied",
            at=self._clock.now(),
            actor_name=row.recipient_name,
            text=cleaned(text)[:500],
            data={"by": row.recipient_name, "channel": row.channel},
        )

    def _state(self, incident: Incident | None) -> Literal["open", "over", "expired"]:
        if incident is None:
            return "expired"
        if incident.is_open:
            return "open"
        ended: datetime = incident.closed_at or incident.last_signal_at
        return "over" if self._clock.now() - ended <= READABLE_FOR else "expired"


async def incident_of(session: AsyncSession, row: Delivery) -> Incident | None:
    """Return the incident that an answer to `row` is about: the one it was merged into, if so."""
    found = None
    wanted = row.incident_id
    for _ in range(_MAX_MERGES):
        if wanted is None:
            break
        found = await incident_rows.by_id(session, wanted)
        wanted = found.merged_into_id if found is not None else None
    return found
