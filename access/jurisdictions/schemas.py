"""What a jurisdiction's file may hold, and what is asked of a camera and answered."""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Language = Literal["en", "zh-CN"]
PlaceKind = Literal["public_space", "shared_space", "home"]
SoundWish = Literal["forbidden", "justified"]
Hours = int | None


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(_Part):
    """The same words in each language of the console; none is ever missing. `str` is English."""

    model_config = ConfigDict(populate_by_name=True, str_strip_whitespace=True)

    en: str = Field(min_length=1)
    zh: str = Field(min_length=1, alias="zh-CN")

    def __str__(self) -> str:
        return self.en

    def spoken(self, language: Language) -> str:
        """Return the words in `language`."""
        return self.zh if language == "zh-CN" else self.en

    def __add__(self, other: "Text") -> "Text":
        return Text(en=f"{self.en} {other.en}", zh=f"{self.zh}{other.zh}")


class Source(_Part):
    """Where a rule stands: the regulation, its number, article and date."""

    name: Text
    number: Text | None = None
    article: Text | None = None
    date: dt.date | None = None

    @property
    def text(self) -> Text:
        """The source in one line."""
        parts = [part for part in (self.name, self.number, self.article) if part is not None]
        return Text(
            en=", ".join(part.en for part in parts), zh="，".join(part.zh for part in parts)
        )


class Rule(_Part):
    """A numbered rule: what it asks, a short quote, where it stands, and what to do."""

    text: Text
    quote: Text
    source: Source | None = None
    remedy: Text


class Retention(_Part):
    """How long recordings of a place are kept, in hours; null means no limit.

    Above `justify_above_h` a camera gives its reason.
    """

    rule: str
    min_h: Hours = Field(default=None, ge=0)
    default_h: Hours = Field(default=None, ge=0)
    justify_above_h: Hours = Field(default=None, ge=0)
    max_h: Hours = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _in_order(self) -> "Retention":
        known = [h for h in (self.min_h, self.default_h, self.max_h) if h is not None]
        if known != sorted(known):
            raise ValueError("min_h, default_h and max_h must not fall")
        return self


class Place(_Part):
    """A kind of spot a camera looks at. `forbidden`, `signage`, `told` name the rule that says so.

    `told`: the rule that asks for purpose, owner and contact. `words` hint, in a camera's name, at
    a place where it may not be. `sound`: whether it may be heard there, with a reason
    (`justified`, also where nothing is said) or not at all.
    """

    title: Text | None = None
    kinds: tuple[PlaceKind, ...] = ()
    kinds_rule: str = ""
    forbidden: str = ""
    signage: str = ""
    told: str = ""
    retention: Retention | None = None
    words: tuple[str, ...] = ()
    sound: SoundWish | None = None


class Retrieval(_Part):
    """Who may take recordings out, how many people it takes, and what is written down."""

    rule: str
    roles: tuple[str, ...]
    persons: int = Field(ge=1, le=5)
    register_: tuple[Text, ...] = Field(alias="register")


class SealLimit(_Part):
    """How long an incident may be sealed at most."""

    rule: str
    max_days: int = Field(ge=1, le=366)


class JurisdictionFile(_Part):
    """One file. `place_needed` names the rule that wants every camera's place to be known.

    `sound` names the rule about sound.
    """

    title: Text
    note: Text
    source: Source
    rules: dict[str, Rule]
    place_needed: str = ""
    sound: str = ""
    retrieval: Retrieval | None = None
    seal: SealLimit | None = None
    places: dict[str, Place]


@dataclass(frozen=True, slots=True)
class CameraFacts:
    """What the law wants to know of a camera. Owner and contact are those in force for it."""

    name: str
    place_kind: str
    place_type: str = ""
    purpose: str = ""
    owner: str = ""
    contact: str = ""
    retention_hours: int | None = None
    retention_reason: str = ""
    signage: bool = False
    sound: bool = False
    sound_reason: str = ""


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule that a camera breaks: the field it is about, and the rule in full."""

    field: str
    rule: str
    message: Text
    quote: Text
    source: Text
    remedy: Text

    @property
    def cited(self) -> Text:
        """What is wrong, and the rule that says so by number and quote."""
        cited = Text(
            en=f"{self.rule}: “{self.quote.en}” ({self.source.en}).",
            zh=f"{self.rule}：“{self.quote.zh}”（{self.source.zh}）。",
        )
        return self.message + cited

    @property
    def text(self) -> Text:
        """The same, and what to do about it."""
        return self.cited + self.remedy


@dataclass(frozen=True, slots=True)
class Hint:
    """Something in a camera's name that makes one ask whether it may be there."""

    place_type: str
    word: str
    message: Text


class RuleOut(BaseModel):
    """A rule on the wire."""

    number: str
    text: Text
    quote: Text
    source: Text
    remedy: Text


class PlaceOut(BaseModel):
    """A place on the wire; hours are null where the law names none."""

    key: str
    title: Text
    kinds: list[PlaceKind]
    forbidden: bool
    forbidden_by: str
    signage: bool
    sound: SoundWish
    min_h: Hours
    default_h: Hours
    justify_above_h: Hours
    max_h: Hours


class RetrievalOut(BaseModel):
    """Who may take recordings out on the wire."""

    rule: str
    roles: list[str]
    persons: int
    register_items: list[Text]


class LawOut(BaseModel):
    """The jurisdiction in force. `note` says that it is configuration, not legal advice.

    Every text is there in each language of the console.
    """

    name: str
    title: Text
    note: Text
    source: Text
    rules: list[RuleOut]
    places: list[PlaceOut]
    place_needed: bool
    sound_rule: str
    retrieval: RetrievalOut
    seal_max_days: int
