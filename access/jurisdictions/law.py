"""The law in force: what came with the hub, with one jurisdiction laid over it.

Configuration, not legal advice: the files quote shortly, name their sources, and a centre that
reads its law otherwise puts a file of its own into its data directory.
"""

import difflib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from access.jurisdictions.reading import BASE, JurisdictionError, check_over, read_file
from access.jurisdictions.schemas import (
    Breach,
    CameraFacts,
    Hint,
    JurisdictionFile,
    LawOut,
    Place,
    PlaceOut,
    Retention,
    Retrieval,
    RetrievalOut,
    Rule,
    RuleOut,
    SealLimit,
)
from core.errors import InvalidInputError

_KIND_RULE = "HUB-2"
_KIND_NAMES = {"public_space": "a public space", "shared_space": "a shared space", "home": "a home"}


class LawRefusedError(InvalidInputError):
    """A camera breaks the law in force (422). `detail["errors"]` names fields, rules and quotes."""

    code = "law-refused"

    def __init__(self, breaches: Sequence[Breach]) -> None:
        first, *others = breaches
        also = ", ".join(f"{b.field} ({b.rule})" for b in others)
        super().__init__(
            f"{first.message} {first.rule}: “{first.quote}” ({first.source})."
            + (f" Also broken: {also}." if also else ""),
            remedy=first.remedy,
            detail={
                "errors": [
                    {"field": b.field, "message": str(b), "rule": b.rule, "quote": b.quote}
                    for b in breaches
                ]
            },
        )


@dataclass(frozen=True)
class Law:
    """One jurisdiction over the hub's own rules. Loaded once, when the hub starts."""

    name: str
    path: Path
    digest: str
    content: JurisdictionFile
    retrieval: Retrieval
    seal: SealLimit
    rules: dict[str, Rule] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path | None = None, name: str = BASE) -> "Law":
        """Read the jurisdiction `name` from `folder` (a centre's own), else from the hub's.

        Raises:
            JurisdictionError: there is none, or its file is not as it must be.
        """
        base = read_file(BASE)
        check_over(base.content, base)
        over = base if name == BASE else read_file(name, folder)
        if over is not base:
            check_over(base.content, over)
        retrieval = over.content.retrieval or base.content.retrieval
        seal = over.content.seal or base.content.seal
        if retrieval is None or seal is None:
            raise JurisdictionError(f"{base.path} says nothing on retrieval or seals.")
        places = {
            key: _laid_over(base.content.places.get(key), over.content.places.get(key))
            for key in {**base.content.places, **over.content.places}
        }
        return cls(
            name=name,
            path=over.path,
            digest=f"{base.digest[:32]}{over.digest[:32]}",
            content=over.content,
            retrieval=retrieval,
            seal=seal,
            rules={**base.content.rules, **over.content.rules},
            places=places,
        )

    def check(self, facts: CameraFacts) -> list[Breach]:
        """Return every rule that a camera with these facts breaks; an empty list is a good one.

        Raises:
            InvalidInputError: code `unknown-place-type`.
        """
        if not facts.place_type:
            # What is in a home nobody needs to say.
            if self.content.place_needed and facts.place_kind != "home":
                return [
                    self._breach(
                        "place_type",
                        self.content.place_needed,
                        "It is not said what place the camera looks at.",
                    )
                ]
            return []
        place = self.place(facts.place_type)
        if place.forbidden:
            return [
                self._breach(
                    "place_type", place.forbidden, f"No camera may be here: {place.title.lower()}."
                )
            ]
        found = list(self._kind_breaches(facts, place))
        # What a household films in its own home is its own affair.
        if facts.place_kind != "home":
            found += self._notice_breaches(facts, place)
            if place.retention is not None:
                found += self._retention_breaches(facts, place.retention)
        return found

    def findings(self, facts: CameraFacts) -> list[Breach]:
        """Return the rules that a camera breaks that is there already.

        Its place may be one that this law does not know: then that is the finding.
        """
        if facts.place_type and facts.place_type not in self.places:
            unknown = f"The law in force knows no place '{facts.place_type}'."
            return [self._breach("place_type", _KIND_RULE, unknown)]
        return self.check(facts)

    def require(self, facts: CameraFacts) -> None:
        """Let a camera pass that keeps to the law, or raise.

        Raises:
            LawRefusedError: names every rule that it breaks, with its quote.
            InvalidInputError: code `unknown-place-type`.
        """
        if breaches := self.check(facts):
            raise LawRefusedError(breaches)

    def hints(self, camera_name: str, place_type: str = "") -> list[Hint]:
        """Return what a camera's name says that makes one ask whether it may be there."""
        name = unicodedata.normalize("NFKC", camera_name).casefold()
        return [
            Hint(
                key,
                word,
                f"The name holds '{word}'. If the camera looks into such a place "
                f"({place.title.lower()}), rule {place.forbidden} forbids it.",
            )
            for key, place in self.places.items()
            if place.forbidden and key != place_type
            for word in [next((w for w in place.words if w.casefold() in name), "")]
            if word
        ]

    def place(self, key: str) -> Place:
        """Return the place `key`.

        Raises:
            InvalidInputError: code `unknown-place-type`; names the nearest one.
        """
        place = self.places.get(key)
        if place is None:
            near = difflib.get_close_matches(key, self.places, n=1)
            raise InvalidInputError(
                f"There is no place '{key}'.",
                remedy=f"Did you mean '{near[0]}'?" if near else "GET /law lists the places.",
                code="unknown-place-type",
            )
        return place

    def retention_of(self, place_type: str, place_kind: str, asked: int | None) -> int | None:
        """Return how many hours a camera's recordings are kept; None where nothing says."""
        if asked is not None:
            return asked
        place = self.places.get(place_type)
        if place_kind == "home" or place is None or place.retention is None:
            return None
        return place.retention.default_h

    def describe(self) -> LawOut:
        """Return the law for the wire."""
        return LawOut(
            name=self.name,
            title=self.content.title,
            note=" ".join(self.content.note.split()),
            source=self.content.source.text,
            rules=[self._rule_out(number, rule) for number, rule in self.rules.items()],
            places=[_place_out(key, place) for key, place in self.places.items()],
            place_needed=bool(self.content.place_needed),
            retrieval=RetrievalOut(
                rule=self.retrieval.rule,
                roles=list(self.retrieval.roles),
                persons=self.retrieval.persons,
                register_items=list(self.retrieval.register_),
            ),
            seal_max_days=self.seal.max_days,
        )

    def _rule_out(self, number: str, rule: Rule) -> RuleOut:
        return RuleOut(
            number=number,
            text=rule.text,
            quote=rule.quote,
            source=rule.source.text or self._own_source(number),
            remedy=rule.remedy,
        )

    def _own_source(self, number: str) -> str:
        return self.content.source.text if number in self.content.rules else "Camera Hub"

    def _breach(self, name: str, number: str, message: str) -> Breach:
        rule = self.rules[number]
        source = rule.source.text or self._own_source(number)
        return Breach(name, number, message, rule.quote, source, rule.remedy)

    def _kind_breaches(self, facts: CameraFacts, place: Place) -> Iterable[Breach]:
        if facts.place_kind not in place.kinds:
            kind = _KIND_NAMES.get(facts.place_kind, facts.place_kind)
            yield self._breach(
                "place_kind",
                place.kinds_rule or _KIND_RULE,
                f"The place '{place.title}' is not {kind}.",
            )

    def _notice_breaches(self, facts: CameraFacts, place: Place) -> Iterable[Breach]:
        if place.signage and not facts.signage:
            yield self._breach("signage", place.signage, "There is no sign beside the camera.")
        if place.told:
            for name in ("purpose", "owner", "contact"):
                if not getattr(facts, name):
                    yield self._breach(name, place.told, f"The camera has no {name}.")

    def _retention_breaches(self, facts: CameraFacts, limits: Retention) -> Iterable[Breach]:
        hours = limits.default_h if facts.retention_hours is None else facts.retention_hours
        if hours is None:
            return
        if limits.min_h is not None and hours < limits.min_h:
            yield self._breach(
                "retention_hours",
                limits.rule,
                f"{hours} hours are fewer than the {limits.min_h} that must be kept.",
            )
        if limits.max_h is not None and hours > limits.max_h:
            yield self._breach(
                "retention_hours",
                limits.rule,
                f"{hours} hours are more than the {limits.max_h} that may be kept.",
            )
        above = limits.justify_above_h
        if above is not None and hours > above and not facts.retention_reason:
            yield self._breach(
                "retention_reason",
                limits.rule,
                f"More than {above} hours need a reason.",
            )


def _laid_over(below: Place | None, above: Place | None) -> Place:
    """Return `below` with what `above` says; a forbidden place stays one."""
    if below is None or above is None:
        found = above or below
        assert found is not None
        return found
    return Place(
        title=above.title or below.title,
        title_zh=above.title_zh or below.title_zh,
        kinds=above.kinds or below.kinds,
        kinds_rule=above.kinds_rule or below.kinds_rule,
        forbidden=above.forbidden or below.forbidden,
        signage=above.signage or below.signage,
        told=above.told or below.told,
        retention=above.retention or below.retention,
        words=below.words + above.words,
    )


def _place_out(key: str, place: Place) -> PlaceOut:
    limits = place.retention
    return PlaceOut(
        key=key,
        title=place.title,
        title_zh=place.title_zh,
        kinds=list(place.kinds),
        forbidden=bool(place.forbidden),
        forbidden_by=place.forbidden,
        signage=bool(place.signage),
        min_h=limits.min_h if limits else None,
        default_h=limits.default_h if limits else None,
        justify_above_h=limits.justify_above_h if limits else None,
        max_h=limits.max_h if limits else None,
    )
