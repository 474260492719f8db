"""What a household reads beside the steps of its alarm, in both languages."""

LANGUAGES = ("en", "zh-CN")

_TEXTS: dict[str, tuple[str, str]] = {
    "contact_seen": ("{by} has seen it.", "{by}已看到。"),
    "contact_coming": ("{by} is coming.", "{by}正在赶来。"),
    "contact_coming_in": ("{by} is coming, {minutes} min.", "{by}正在赶来，约{minutes}分钟。"),
    "contact_cannot": ("{by} cannot come.", "{by}无法前来。"),
    "rang": ("More people are being told.", "正在通知更多人员。"),
    "whistled": (
        "The level above has been told, too.",
        "已通知上一级。",
    ),
    "cancel_asked": (
        "You have said that it is over. Those who were told know; "
        "the alarm stays open until somebody has made sure.",
        "您已表示无需处理，相关人员已知悉；在有人确认之前，报警仍保持开启。",
    ),
    "location": ("Your location has been passed on.", "已转达您的位置。"),
    "reopened": ("The alarm has been opened again.", "报警已重新开启。"),
    "merged": (
        "It is handled together with another alarm.",
        "已与另一起报警合并处理。",
    ),
    "pressed_again": ("It was pressed again.", "再次按下了报警。"),
    "restored": ("The panel reports that the sensor is quiet again.", "报警主机报告探测器已恢复。"),
}


def language(accepted: str) -> str:
    """Return the language to answer in, by an `Accept-Language` header."""
    for part in accepted.lower().split(","):
        word = part.partition(";")[0].strip()
        if word.startswith("zh"):
            return "zh-CN"
        if word.startswith("en"):
            return "en"
    return "en"


def say(what: str, in_language: str, **values: object) -> str:
    """Return the sentence for `what`."""
    return _TEXTS[what][LANGUAGES.index(in_language)].format(**values)
