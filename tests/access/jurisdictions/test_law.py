"""Jurisdictions: what came with the hub, a centre's own, and every rule that refuses a camera."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from access.jurisdictions import CameraFacts, JurisdictionError, Law, LawRefusedError
from access.jurisdictions.reading import DATA
from access.jurisdictions.schemas import Text
from core.errors import InvalidInputError

UNTRANSLATED = (Text(en="Camera Hub", zh="Camera Hub"),)
SHIPPED = ["none", "cn", "eu", "uk"]
GOOD = CameraFacts(
    name="Gate",
    place_kind="public_space",
    place_type="street",
    purpose="Safety at the gate",
    owner="Jade Garden",
    contact="office@example.org",
    signage=True,
)


def both(english: str, chinese: str) -> dict[str, str]:
    return {"en": english, "zh-CN": chinese}


OWN = {
    "title": both("Our town", "本镇"),
    "note": both("Not legal advice.", "不是法律意见。"),
    "source": {
        "name": both("Bylaw", "镇规"),
        "number": both("7", "7 号"),
        "article": both("Art. 3", "第三条"),
    },
    "rules": {
        "TOWN-1": {
            "text": both("At most a week.", "最多一周。"),
            "quote": both("A week.", "一周。"),
            "remedy": both("Keep less.", "请少保存。"),
        }
    },
    "places": {
        "street": {"retention": {"rule": "TOWN-1", "default_h": 24, "max_h": 168}},
        "kiln": {"title": both("Kiln", "窑"), "kinds": ["shared_space"]},
    },
}


def own(folder: Path, **changes: object) -> Law:
    (folder / "town.yaml").write_text(yaml.safe_dump({**OWN, **changes}), encoding="utf-8")
    return Law.load(folder, "town")


def broken(law: Law, **changes: object) -> list[tuple[str, str]]:
    return [(b.field, b.rule) for b in law.check(replace(GOOD, **changes))]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SHIPPED)
def test_what_came_with_the_hub_is_whole_and_can_be_read(name: str) -> None:
    law = Law.load(None, name)
    described = law.describe()
    assert "not legal advice" in described.note.en
    assert "不是法律意见" in described.note.zh
    assert law.check(GOOD) == []
    link = Path(__file__).resolve().parents[3] / "configs" / "jurisdictions" / f"{name}.yaml"
    assert link.resolve() == DATA / f"{name}.yaml"


@pytest.mark.parametrize("name", SHIPPED)
def test_no_jurisdiction_allows_a_camera_where_people_undress_wash_or_sleep(name: str) -> None:
    law = Law.load(None, name)
    forbidden = {place.key for place in law.describe().places if place.forbidden}
    assert forbidden >= {
        "changing_room", "toilet", "bathroom", "bedroom", "dormitory", "hotel_room",
        "lactation_room", "ward",
    }  # fmt: skip
    for place in forbidden:
        for kind in ("public_space", "shared_space", "home"):
            facts = replace(GOOD, place_type=place, place_kind=kind)
            with pytest.raises(LawRefusedError) as refused:
                law.require(facts)
            number = law.places[place].forbidden
            assert number in str(refused.value)
            assert law.rules[number].quote.en in str(refused.value)
            (error,) = refused.value.detail["errors"]
            assert error["message"] == error["texts"]["en"]
            assert law.rules[number].quote.zh in error["texts"]["zh-CN"]


def test_without_a_jurisdiction_only_places_count() -> None:
    law = Law.load()
    bare = CameraFacts(name="Gate", place_kind="public_space")
    assert law.check(bare) == []
    assert law.check(replace(bare, place_type="street", retention_hours=1)) == []
    assert broken(law, place_type="home_interior") == [("place_kind", "HUB-2")]
    assert broken(law, place_type="street", place_kind="home") == [("place_kind", "HUB-2")]


@pytest.mark.parametrize(
    ("name", "changes", "field", "rule"),
    [
        ("cn", {"retention_hours": 719}, "retention_hours", "CN-VID-4"),
        ("cn", {"retention_hours": 721}, "retention_reason", "CN-VID-4"),
        ("cn", {"signage": False}, "signage", "CN-VID-3"),
        ("cn", {"purpose": ""}, "purpose", "CN-PIPL-17"),
        ("cn", {"owner": ""}, "owner", "CN-PIPL-17"),
        ("cn", {"contact": ""}, "contact", "CN-PIPL-17"),
        ("cn", {"place_type": ""}, "place_type", "CN-VID-1"),
        ("cn", {"place_type": "toilet"}, "place_type", "CN-VID-2"),
        ("cn", {"place_type": "home_interior"}, "place_kind", "CN-CIV-1033"),
        ("eu", {"retention_hours": 73}, "retention_reason", "EU-GDPR-5"),
        ("eu", {"signage": False}, "signage", "EU-GDPR-13"),
        ("eu", {"purpose": ""}, "purpose", "EU-GDPR-13"),
        ("eu", {"place_type": ""}, "place_type", "EU-GDPR-6"),
        ("uk", {"retention_hours": 745}, "retention_reason", "UK-SCC-6"),
        ("uk", {"contact": ""}, "contact", "UK-SCC-3"),
        ("uk", {"place_type": ""}, "place_type", "UK-SCC-1"),
    ],
)
def test_each_rule_refuses_with_its_number(
    name: str, changes: dict[str, object], field: str, rule: str
) -> None:
    assert broken(Law.load(None, name), **changes) == [(field, rule)]


def test_thirty_days_are_the_floor_in_china_and_72_hours_need_no_reason_in_the_union() -> None:
    china, union = Law.load(None, "cn"), Law.load(None, "eu")
    assert broken(china, retention_hours=720) == []
    assert broken(china, retention_hours=2160, retention_reason="Key site, local rule") == []
    assert china.retention_of("street", "public_space", None) == 720
    assert broken(union, retention_hours=72) == []
    assert broken(union, retention_hours=240, retention_reason="Repeated arson") == []
    assert union.retention_of("street", "public_space", None) == 72
    assert union.retention_of("home_interior", "home", None) is None


def test_what_a_household_films_at_home_is_its_own_affair() -> None:
    home = CameraFacts(name="Hall", place_kind="home", place_type="home_interior")
    for name in SHIPPED:
        assert Law.load(None, name).check(home) == []
        assert Law.load(None, name).check(replace(home, place_type="")) == []


def test_names_that_hint_at_a_forbidden_place_warn() -> None:
    law = Law.load()
    assert [h.place_type for h in law.hints("1号楼更衣室")] == ["changing_room"]
    assert [h.place_type for h in law.hints("ＴＯＩＬＥＴ east")] == ["toilet"]
    assert law.hints("Toilet door", "toilet") == []
    assert law.hints("Gate 3") == []


def test_an_unknown_place_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidInputError, match="street") as refused:
        Law.load().check(replace(GOOD, place_type="stret"))
    assert refused.value.code == "unknown-place-type"


def test_a_centres_own_file_adds_places_and_limits(tmp_path: Path) -> None:
    law = own(tmp_path)
    assert broken(law, retention_hours=169) == [("retention_hours", "TOWN-1")]
    assert broken(law, place_type="kiln", place_kind="shared_space") == []
    assert broken(law, place_type="bedroom") == [("place_type", "HUB-1")]
    assert law.describe().rules[-1].source.en == "Bylaw, 7, Art. 3"
    assert law.describe().rules[-1].source.zh == "镇规，7 号，第三条"


def test_another_content_is_another_digest(tmp_path: Path) -> None:
    assert own(tmp_path).digest != own(tmp_path, title=both("Our town, mended", "本镇")).digest


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"placs": {}}, "unknown key 'placs'; did you mean 'places'?"),
        ({"places": {"street": {"signag": "TOWN-1"}}}, "did you mean 'signage'?"),
        ({"places": {"street": {"signage": "TOWN-9"}}}, "did you mean 'TOWN-1'?"),
        ({"place_needed": "TOWN-9"}, "place_needed"),
        (
            {"places": {"street": {"retention": {"rule": "TOWN-1", "min_h": 9, "max_h": 8}}}},
            "must not fall",
        ),
        ({"places": {"street": {"retention": {"rule": "TOWN-1", "min_h": "soon"}}}}, "min_h"),
        ({"places": {"toilet": {"kinds": ["shared_space"]}}}, "HUB-1 forbids everywhere"),
        ({"places": {"home_interior": {"kinds": ["shared_space"]}}}, "HUB-2"),
        ({"places": {"kiln": {}}}, "without title"),
        ({"rules": {"HUB-1": OWN["rules"]["TOWN-1"]}, "places": {}}, "HUB-1 anew"),  # type: ignore[index]
        ({"title": both("", "本镇")}, "title.en"),
        ({"title": {"en": "Our town"}}, "lacks 'title.zh-CN'"),
        ({"note": {"zh-CN": "不是法律意见。"}}, "lacks 'note.en'"),
        ({"note": {**both("a", "b"), "fr": "c"}}, "unknown key 'note.fr'"),
        (
            {"places": {"kiln": {"title": {"en": "Kiln"}, "kinds": ["shared_space"]}}},
            "lacks 'places.kiln.title.zh-CN'",
        ),
    ],
)
def test_a_bad_file_is_refused_and_says_where(
    tmp_path: Path, changes: dict[str, object], says: str
) -> None:
    with pytest.raises(JurisdictionError) as refused:
        own(tmp_path, **changes)
    assert says in str(refused.value)
    assert "town.yaml" in str(refused.value)


@pytest.mark.parametrize(
    "text", ["places: [", "- a\n- b\n", "!!python/object/apply:os.system ['true']", "\xff"]
)
def test_a_file_that_is_no_mapping_in_yaml_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "town.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(JurisdictionError, match=r"town\.yaml"):
        Law.load(tmp_path, "town")


def test_a_jurisdiction_that_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    own(tmp_path)
    with pytest.raises(JurisdictionError, match="did you mean 'town'"):
        Law.load(tmp_path, "twon")


def test_nobody_takes_away_the_floor_with_an_own_none(tmp_path: Path) -> None:
    (tmp_path / "none.yaml").write_text("title: Nothing holds\n", encoding="utf-8")
    assert broken(Law.load(tmp_path, "none"), place_type="toilet") == [("place_type", "HUB-1")]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_text_of_the_law_is_in_chinese_too(name: str) -> None:
    """Chinese characters stand in each, and no English is left in its place."""

    def texts(part: object) -> list[Text]:
        if isinstance(part, Text):
            return [part]
        if isinstance(part, BaseModel):
            return [text for value in dict(part).values() for text in texts(value)]
        if isinstance(part, list):
            return [text for value in part for text in texts(value)]
        return []

    found = texts(Law.load(None, name).describe())
    assert len(found) > 40
    for text in found:
        assert text.zh != text.en or text in UNTRANSLATED, text
        assert any("\u4e00" <= letter <= "\u9fff" for letter in text.zh) or text in UNTRANSLATED


def test_each_refusal_and_warning_is_in_both_languages() -> None:
    law = Law.load(None, "cn")
    cases: list[dict[str, object]] = [
        {"place_type": ""}, {"place_type": "toilet"}, {"place_type": "home_interior"},
        {"signage": False}, {"purpose": ""}, {"owner": ""}, {"contact": ""},
        {"retention_hours": 1}, {"retention_hours": 9999},
    ]  # fmt: skip
    for changes in cases:
        for breach in law.check(replace(GOOD, **changes)):  # type: ignore[arg-type]
            assert breach.message.zh.endswith("。")
            assert breach.message.en.endswith(".")
            assert breach.rule in breach.text.zh
    (hint,) = law.hints("1号楼更衣室")
    assert "更衣室" in hint.message.zh
    assert "CN-VID-2" in hint.message.zh


def test_sound_needs_a_reason_everywhere_but_at_home(tmp_path: Path) -> None:
    for name, rule in (
        ("none", "HUB-4"),
        ("cn", "CN-PIPL-6"),
        ("eu", "EU-GDPR-25"),
        ("uk", "UK-ICO-1"),
    ):
        law = Law.load(None, name)
        assert broken(law, sound=True, retention_hours=720, retention_reason="x") == [
            ("sound_reason", rule)
        ]
        said = {"sound": True, "sound_reason": "Calls for help", "retention_hours": 720}
        assert broken(law, **said, retention_reason="x") == []
        assert broken(law, sound=True, place_kind="home", place_type="home_interior") == []
        unknown = broken(law, sound=True, place_type="")
        assert ("sound_reason", rule) in unknown


def test_where_sound_is_forbidden_no_reason_helps(tmp_path: Path) -> None:
    places = {"street": {"sound": "forbidden"}, "park": {"sound": "justified"}}
    law = own(tmp_path, places=places, sound="TOWN-1")
    for reason in ("", "Calls for help"):
        assert broken(law, sound=True, sound_reason=reason) == [("sound", "TOWN-1")]
    assert broken(law, sound=False) == []
    assert broken(law, place_type="park", sound=True) == [("sound_reason", "TOWN-1")]
    told = {place.key: place.sound for place in law.describe().places}
    assert (told["street"], told["park"], told["square"]) == ("forbidden", "justified", "justified")
    assert law.describe().sound_rule == "TOWN-1"
    (breach,) = law.check(replace(GOOD, sound=True))
    assert "may not hear here: street" in str(breach.message)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sound": "TOWN-9"}, "names at sound the rule 'TOWN-9'"),
        ({"places": {"street": {"sound": "loud"}}}, "places.street.sound"),
    ],
)
def test_a_bad_word_on_sound_stops_the_start(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(JurisdictionError, match=said):
        own(tmp_path, **changes)
