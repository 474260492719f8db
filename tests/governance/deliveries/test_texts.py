"""What messages say."""

import pytest

from governance.deliveries.texts import SHORT, Told, compose

LINK = "https://hub.example.org/a/1-TPh43I-SgL45wj70qoBw"
FIRE = {
    "kind": "alarm_fire",
    "what": "Fire alarm",
    "where": "翠园小区·3栋201",
    "when": "08:33",
    "number": "2026-000123",
}


def told(purpose: str = "alert", **more: object) -> Told:
    return Told(purpose=purpose, **{**FIRE, "link": LINK, **more})  # type: ignore[arg-type]


def test_a_short_message_says_what_where_when_and_has_its_link_whole() -> None:
    text = compose(told())
    assert text.short == f"火警 翠园小区·3栋201 08:33 {LINK}"
    assert len(text.short) <= SHORT["zh"]
    # Where there is no room for all of the place, its end is the most exact.
    assert compose(told(link=f"{LINK}123")).short == f"火警 3栋201 08:33 {LINK}123"
    assert text.title == "火警，翠园小区·3栋201"
    assert text.body.endswith(f"看到请打开链接回复：{LINK}")


@pytest.mark.parametrize("locale", ["zh-CN", "en"])
@pytest.mark.parametrize("purpose", ["alert", "whistle", "reminder"])
def test_a_link_is_never_cut(locale: str, purpose: str) -> None:
    where = "一个名字非常非常长的地方" * 4
    text = compose(told(purpose, locale=locale, where=where, unanswered=["甲", "乙", "丙", "丁"]))
    assert text.short.endswith(f" {LINK}")
    if locale == "zh-CN":
        assert len(text.short) <= SHORT["zh"] + 4


def test_what_can_be_replied_is_said_where_it_fits() -> None:
    link = "https://h.cn/a/1-TPh43I-SgL45wj70qoBw"
    assert "回1已看到，2马上到" in compose(told(replies=True, link=link, where="3栋")).short
    assert "回1" not in compose(told(replies=True)).short
    assert "按1" in compose(told(replies=True)).spoken
    assert LINK not in compose(told(replies=True)).spoken


def test_a_whistle_says_who_has_not_answered() -> None:
    text = compose(told("whistle", unanswered=["李娜", "王伟"]))
    assert text.title == "无人应答，已上报，火警，翠园小区·3栋201"
    assert "未应答：李娜、王伟" in text.body
    many = compose(told("whistle", locale="en", unanswered=["A", "B", "C", "D"]))
    assert "no answer from A, B, C and 4 in all" in many.body


@pytest.mark.parametrize(
    ("round_key", "about", "said"),
    [
        ("seen:0", {"by": "李娜"}, "李娜已看到，火警"),
        ("coming:0", {"by": "李娜", "minutes": 6}, "李娜正在赶来，约6分钟到，火警"),
        ("coming:0", {"by": "李娜"}, "李娜正在赶来，火警"),
        ("arrived:0", {"by": "李娜"}, "李娜已到现场，火警"),
        ("cancel_asked:1", {}, "住户说是误按，工作人员仍会核实，火警"),
        ("location:1", {}, "有了更准确的位置，火警"),
        ("other", {"text": {"zh-CN": "值班已交接", "en": "Handed over"}}, "值班已交接，火警"),
    ],
)
def test_news_say_what_is_new(round_key: str, about: dict[str, object], said: str) -> None:
    text = compose(told("news", round_key=round_key, about=about, link=""))
    assert text.short.startswith(said)
    assert "http" not in text.body


def test_the_end_says_how_it_ended_and_a_repetition_says_that_it_may_be_one() -> None:
    assert compose(told("over", resolution="false_alarm", link="")).short.startswith(
        "已结束，误报，火警"
    )
    assert "（可能重复）" in compose(told(about={"repeats": True})).title
    assert "may be a repetition" in compose(told(locale="en", about={"repeats": True})).short


def test_what_has_no_name_of_its_own_is_called_by_its_headline() -> None:
    text = compose(told(kind="other", what="Broken manhole cover", locale="en"))
    assert text.title == "Broken manhole cover, 翠园小区·3栋201"


def test_codes_are_said_and_spoken_digit_by_digit() -> None:
    text = compose(Told(purpose="code", site="翠园", about={"digits": "012345"}))
    assert "012345" in text.short
    assert "0 1 2 3 4 5" in text.spoken
