"""Dispatch policies as a person writes them, and what else goes over the wire."""

import difflib
import re
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from access.policy.areas import normalise_area
from core.errors import InvalidInputError
from governance.dispatch.snapshot import (
    CHANNELS,
    HIGHEST,
    OTHER_TARGETS,
    ROOM,
    STANDING_TARGETS,
)
from governance.incidents.kinds import KINDS

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Severity = Literal["extreme", "severe", "moderate", "minor", "unknown"]
Status = Literal["actual", "exercise", "test"]

KNOWN_KINDS = frozenset(KINDS.values()) | {"other"}
MOST_POLICIES = 200
MOST_STEPS = 20
_YEAR_S = 366 * 86400
_WALL_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_TARGETS = (*STANDING_TARGETS, *OTHER_TARGETS, f"{ROOM}<name>")

Seconds = Annotated[float, Field(ge=0, le=_YEAR_S, allow_inf_nan=False)]
Interval = Annotated[float, Field(ge=1, le=_YEAR_S, allow_inf_nan=False)]
Word = Annotated[str, StringConstraints(max_length=200)]


def _near(word: str, known: Sequence[str]) -> str:
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.4)
    return f"did you mean '{found[0]}'?" if found else f"known here: {', '.join(known)}"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TimeWindow(_Strict):
    """Hours on the wall clock of the site; `until` at or before `start` is the next day's."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    days: tuple[Day, ...] = Field(default=DAYS, max_length=7)
    start: str = Field(alias="from")
    until: str = Field(alias="to")

    @field_validator("days")
    @classmethod
    def _some_day(cls, value: tuple[Day, ...]) -> tuple[Day, ...]:
        if not value:
            raise ValueError("name at least one day, or leave days out for all of them")
        return value

    @field_validator("start", "until", mode="before")
    @classmethod
    def _written_as_a_time(cls, value: Any) -> Any:
        # YAML 1.1 reads 22:00 without quotes as the number 1320.
        if not isinstance(value, str) or not _WALL_TIME.fullmatch(value):
            raise ValueError('write the time in quotes, as "22:00"')
        return value


class Match(_Strict):
    """What a policy is for. What is left out, or empty, is no condition."""

    kinds: tuple[Word, ...] = Field(default=(), max_length=50)
    severities: tuple[Severity, ...] = ()
    statuses: tuple[Status, ...] = ()
    areas: tuple[Word, ...] = Field(default=(), max_length=200)
    times: tuple[TimeWindow, ...] = Field(default=(), max_length=50)

    @field_validator("kinds")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for kind in value:
            if kind not in KNOWN_KINDS:
                raise ValueError(f"unknown kind '{kind}'; {_near(kind, sorted(KNOWN_KINDS))}")
        return value

    @field_validator("areas")
    @classmethod
    def _paths(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(normalise_area(area) for area in value)
        except InvalidInputError as error:
            raise ValueError(str(error)) from None


def check_target(target: str) -> str:
    """Return `target` if it is one.

    Raises:
        ValueError: names the nearest that is.
    """
    if target.startswith(ROOM):
        if not target.removeprefix(ROOM).strip() or not target.isprintable():
            raise ValueError("a room has a name: write room:<name>")
        return target
    word, plus, above = target.partition("+")
    if word not in (*STANDING_TARGETS, *OTHER_TARGETS):
        raise ValueError(f"unknown target '{target}'; {_near(word, _TARGETS)}")
    if plus and word not in STANDING_TARGETS:
        raise ValueError(
            f"'{word}' is somebody in particular and has no level above; "
            f"+n goes with {', '.join(STANDING_TARGETS)}"
        )
    if plus and not (above.isascii() and above.isdigit() and 1 <= int(above) <= HIGHEST):
        raise ValueError(f"'{target}': after the + stands a number from 1 to {HIGHEST}")
    return target


class Step(_Strict):
    """Who is told how long after the ringing began. Without channels: their consoles only."""

    after_s: Seconds
    targets: tuple[Word, ...] = Field(default=(), max_length=50)
    channels: tuple[Word, ...] = Field(default=(), max_length=len(CHANNELS))
    whistle: bool = False

    @field_validator("targets")
    @classmethod
    def _known_targets(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(check_target(target) for target in value)

    @field_validator("channels")
    @classmethod
    def _known_channels(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for channel in value:
            if channel not in CHANNELS:
                raise ValueError(f"unknown channel '{channel}'; {_near(channel, CHANNELS)}")
        return value


class LimitsIn(_Strict):
    """Seconds that each step of the loop may take; what is left out has a usual value."""

    triage_s: Interval = 900
    dispatch_s: Interval = 1800
    handle_s: Interval = 3600
    feedback_s: Interval = 4 * 3600
    close_s: Interval = 24 * 3600
    archive_s: Interval = 30 * 86400
    suspend_max_s: Interval = 7 * 86400
    reopen_s: Interval = 7 * 86400


class PolicyIn(_Strict):
    """One policy. The first of a list whose `match` fits is the one that counts."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
    name: str = Field(default="", max_length=120)
    match: Match = Match()
    triage: Literal["skip", "required"] = "skip"
    steps: tuple[Step, ...] = Field(max_length=MOST_STEPS)
    repeat_s: Annotated[float, Field(ge=15, le=_YEAR_S, allow_inf_nan=False)] = 900
    progress_s: Seconds = 0
    limits: LimitsIn = LimitsIn()
    verifier: Literal["anyone", "other"] = "anyone"
    result_photos: int = Field(default=0, ge=0, le=20)

    @field_validator("steps")
    @classmethod
    def _ascending(cls, value: tuple[Step, ...]) -> tuple[Step, ...]:
        for before, step in pairwise(value):
            if step.after_s <= before.after_s:
                raise ValueError(
                    f"steps come in the order of their after_s: {step.after_s:g} s "
                    f"follows {before.after_s:g} s"
                )
        if not any(step.targets for step in value):
            raise ValueError("at least one step needs a target: nobody would ever be told")
        return value


class PolicyFile(_Strict):
    """A whole set, in order."""

    policies: tuple[PolicyIn, ...] = Field(max_length=MOST_POLICIES)

    @field_validator("policies")
    @classmethod
    def _not_none(cls, value: tuple[PolicyIn, ...]) -> tuple[PolicyIn, ...]:
        if not value:
            raise ValueError("without any policy nobody would ever be told")
        return value


class PolicyFault(BaseModel):
    """What is wrong, and where. `line` counts from 1; None where the text has no lines (JSON)."""

    line: int | None
    field: str
    message: str


class PoliciesOut(BaseModel):
    """The policies in force. Version 0 are those that came with the hub."""

    version: int
    text: str
    policies: list[dict[str, Any]]
    updated_at: datetime | None
    updated_by: str


class PoliciesPut(_Strict):
    """A whole new set: as YAML in `text`, or as JSON in `policies`; one of both."""

    version: int = Field(ge=0, description="The version that this one was made from")
    text: str | None = Field(default=None, max_length=500_000)
    policies: list[dict[str, Any]] | None = Field(default=None, max_length=MOST_POLICIES)


class PoliciesCheck(_Strict):
    """A set to be looked at without being written: as YAML in `text`, or as JSON."""

    text: str | None = Field(default=None, max_length=500_000)
    policies: list[dict[str, Any]] | None = Field(default=None, max_length=MOST_POLICIES)


class PoliciesChecked(BaseModel):
    """Whether a set can be used, and if not, why."""

    valid: bool
    faults: list[PolicyFault]


class ForecastRequest(_Strict):
    """What is supposed to happen, where, and when (default: now)."""

    kind: str = Field(max_length=40)
    severity: Severity = "extreme"
    area: str = Field(default="", max_length=200)
    status: Status = "actual"
    at: datetime | None = None
    household_id: UUID | None = None
    policies: PoliciesCheck | None = Field(
        default=None, description="Try these instead of the ones in force"
    )


class ForecastPerson(BaseModel):
    """Somebody who would be told."""

    kind: Literal["account", "contact", "room"]
    id: UUID
    name: str
    whistled: bool
    channels: list[str]


class ForecastStep(BaseModel):
    """One step of the dry run.

    `depends` are targets that only a real incident has; `nobody` says that nobody named can be
    told outside of a console, `widened` that a level above is told instead; `gaps` are rotas that
    name nobody for that moment.
    """

    index: int
    at: datetime
    after_s: float
    repeats: bool
    level: int
    whistle: bool
    widened: bool
    nobody: bool
    channels: list[str]
    told: list[ForecastPerson]
    depends: list[str]
    gaps: list[str]


class ForecastOut(BaseModel):
    """Who would be told, when, by what."""

    policy: dict[str, Any]
    steps: list[ForecastStep]
