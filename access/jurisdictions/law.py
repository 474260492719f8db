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
    SoundWish,
    Text,
)
from core.errors import InvalidInputError

_KIND_RULE = "HUB-2"
_SOUND_RULE = "HUB-4"
_KIND_NAMES = {
    "public_space": Text(en="a public space", zh="公共空间"),
    "shared_space": Text(en="a shared space", zh="共用空间"),
    "home": Text(en="a home", zh="住宅"),
}
_TOLD = {
    "purpose": Text(en="The camera has no purpose.", zh="没有填写摄像机的用途。"),
    "owner": Text(en="The camera has no owner.", zh="没有填写摄像机的负责单位。"),
    "contact": Text(en="The camera has no contact.", zh="没有填写摄像机的联系方式。"),
}
_OURS = Text(en="Camera Hub", zh="Camera Hub")


class LawRefusedError(InvalidInputError):
    """A camera breaks the law in force (422). `detail["errors"]` names fields, rules and quotes.

    `texts` has each message in every language, the others are English.
    """

    code = "law-refused"

    def __init__(self, breaches: Sequence[Breach]) -> None:
        first, *others = breaches
        also = ", ".join(f"{b.field} ({b.rule})" for b in others)
        super().__init__(
            f"{first.cited}" + (f" Also broken: {also}." if also else ""),
            remedy=str(first.remedy),
            detail={
                "errors": [
                    {
                        "field": b.field,
                        "message": str(b.text),
                        "rule": b.rule,
                        "quote": str(b.quote),
                        "texts": b.text.model_dump(by_alias=True),
                    }
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
            found = []
            # What is in a home nobody needs to say.
            if self.content.place_needed and facts.place_kind != "home":
                unknown = Text(
                    en="It is not said what place the camera looks at.",
                    zh="没有填写摄像机拍摄的场所。",
                )
                found.append(self._breach("place_type", self.content.place_needed, unknown))
            return [*found, *self._sound_breaches(facts, None)]
        place = self.place(facts.place_type)
        if place.forbidden:
            title = _title(place, facts.place_type)
            here = Text(
                en=f"No camera may be here: {title.en.lower()}.",
                zh=f"此处不得安装摄像机：{title.zh}。",
            )
            return [self._breach("place_type", place.forbidden, here)]
        found = list(self._kind_breaches(facts, place))
        # What a household films in its own home is its own affair.
        if facts.place_kind != "home":
            found += self._notice_breaches(facts, place)
            if place.retention is not None:
                found += self._retention_breaches(facts, place.retention)
            found += self._sound_breaches(facts, place)
        return found

    def findings(self, facts: CameraFacts) -> list[Breach]:
        """Return the rules that a camera breaks that is there already.

        Its place may be one that this law does not know: then that is the finding.
        """
        if facts.place_type and facts.place_type not in self.places:
            unknown = Text(
                en=f"The law in force knows no place '{facts.place_type}'.",
                zh=f"适用的规定里没有“{facts.place_type}”这种场所。",
            )
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

    def forbids_sound(self, place_kind: str, place_type: str) -> bool:
        """Say whether nobody may hear such a place, whatever was so when it was first heard."""
        place = self.places.get(place_type)
        if place is None or place_kind == "home":
            return False
        return bool(place.forbidden) or place.sound == "forbidden"

    def hints(self, camera_name: str, place_type: str = "") -> list[Hint]:
        """Return what a camera's name says that makes one ask whether it may be there."""
        name = unicodedata.normalize("NFKC", camera_name).casefold()
        return [
            _hint(key, place, word)
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

    @property
    def sound_rule(self) -> str:
        """The number of the rule about sound: the jurisdiction's own, else the hub's."""
        return self.content.sound or _SOUND_RULE

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
            note=self.content.note,
            source=self.content.source.text,
            rules=[self._rule_out(number, rule) for number, rule in self.rules.items()],
            places=[_place_out(key, place) for key, place in self.places.items()],
            place_needed=bool(self.content.place_needed),
            sound_rule=self.sound_rule,
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
            source=self._source(number),
            remedy=rule.remedy,
        )

    def _source(self, number: str) -> Text:
        own = self.rules[number].source
        if own is not None:
            return own.text
        return self.content.source.text if number in self.content.rules else _OURS

    def _breach(self, name: str, number: str, message: Text) -> Breach:
        rule = self.rules[number]
        return Breach(name, number, message, rule.quote, self._source(number), rule.remedy)

    def _kind_breaches(self, facts: CameraFacts, place: Place) -> Iterable[Breach]:
        if facts.place_kind not in place.kinds:
            kind = _KIND_NAMES[facts.place_kind]
            title = _title(place, facts.place_type)
            yield self._breach(
                "place_kind",
                place.kinds_rule or _KIND_RULE,
                Text(
                    en=f"The place '{title.en}' is not {kind.en}.",
                    zh=f"“{title.zh}”不属于{kind.zh}。",
                ),
            )

    def _notice_breaches(self, facts: CameraFacts, place: Place) -> Iterable[Breach]:
        if place.signage and not facts.signage:
            missing = Text(en="There is no sign beside the camera.", zh="摄像机旁没有提示标志。")
            yield self._breach("signage", place.signage, missing)
        if place.told:
            for name, untold in _TOLD.items():
                if not getattr(facts, name):
                    yield self._breach(name, place.told, untold)

    def _sound_breaches(self, facts: CameraFacts, place: Place | None) -> Iterable[Breach]:
        """Yield what speaks against the sound; what is heard in a home is its own affair."""
        if not facts.sound or facts.place_kind == "home":
            return
        if place is not None and place.sound == "forbidden":
            title = _title(place, facts.place_type)
            here = Text(
                en=f"A camera may not hear here: {title.en.lower()}.",
                zh=f"此处的摄像机不得收音：{title.zh}。",
            )
            yield self._breach("sound", self.sound_rule, here)
        elif not facts.sound_reason:
            silent = Text(en="It is not said why it has to hear.", zh="没有写明为什么需要收音。")
            yield self._breach("sound_reason", self.sound_rule, silent)

    def _retention_breaches(self, facts: CameraFacts, limits: Retention) -> Iterable[Breach]:
        hours = limits.default_h if facts.retention_hours is None else facts.retention_hours
        if hours is None:
            return
        if limits.min_h is not None and hours < limits.min_h:
            yield self._breach(
                "retention_hours",
                limits.rule,
                Text(
                    en=f"{hours} hours are fewer than the {limits.min_h} that must be kept.",
                    zh=f"{hours} 小时少于必须保存的 {limits.min_h} 小时。",
                ),
            )
        if limits.max_h is not None and hours > limits.max_h:
            yield self._breach(
                "retention_hours",
                limits.rule,
                Text(
                    en=f"{hours} hours are more than the {limits.max_h} that may be kept.",
                    zh=f"{hours} 小时超过允许保存的 {limits.max_h} 小时。",
                ),
            )
        above = limits.justify_above_h
        if above is not None and hours > above and not facts.retention_reason:
            yield self._breach(
                "retention_reason",
                limits.rule,
                Text(
                    en=f"More than {above} hours need a reason.",
                    zh=f"保存超过 {above} 小时须写明理由。",
                ),
            )


def _sound_over(below: Place, above: Place) -> SoundWish | None:
    if "forbidden" in (below.sound, above.sound):
        return "forbidden"
    return above.sound or below.sound


def _laid_over(below: Place | None, above: Place | None) -> Place:
    """Return `below` with what `above` says; a forbidden place stays one."""
    if below is None or above is None:
        found = above or below
        assert found is not None
        return found
    return Place(
        title=above.title or below.title,
        kinds=above.kinds or below.kinds,
        kinds_rule=above.kinds_rule or below.kinds_rule,
        forbidden=above.forbidden or below.forbidden,
        signage=above.signage or below.signage,
        told=above.told or below.told,
        retention=above.retention or below.retention,
        words=below.words + above.words,
        sound=_sound_over(below, above),
    )


def _title(place: Place, key: str) -> Text:
    return place.title or Text(en=key, zh=key)


def _hint(key: str, place: Place, word: str) -> Hint:
    title, rule = _title(place, key), place.forbidden
    message = Text(
        en=f"The name holds '{word}'. If the camera looks into such a place "
        f"({title.en.lower()}), rule {rule} forbids it.",
        zh=f"名称中有“{word}”。如果摄像机拍到这类场所（{title.zh}），规定 {rule} 不允许。",
    )
    return Hint(key, word, message)


def _place_out(key: str, place: Place) -> PlaceOut:
    limits = place.retention
    return PlaceOut(
        key=key,
        title=_title(place, key),
        kinds=list(place.kinds),
        forbidden=bool(place.forbidden),
        forbidden_by=place.forbidden,
        signage=bool(place.signage),
        sound=place.sound or "justified",
        min_h=limits.min_h if limits else None,
        default_h=limits.default_h if limits else None,
        justify_above_h=limits.justify_above_h if limits else None,
        max_h=limits.max_h if limits else None,
    )
