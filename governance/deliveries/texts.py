"""What messages say, in Chinese and English.

A message says what happened, where, when, and how to answer. A short message is cut to fit, but
never its link; no message holds a picture or a secret but the link or code it is about.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SHORT = {"zh": 70, "en": 160}
"""Characters of one SMS: 70 of UCS-2, 160 of GSM 03.38."""

SEPARATOR = "·"
"""Between the parts of a place, the widest first: `翠园·3栋201`."""

_MIN_PLACE = 4  # characters of a place worth keeping

_WORDS: dict[str, dict[str, str]] = {
    "zh": {
        "alarm_fire": "火警",
        "alarm_security": "治安报警",
        "alarm_medical": "医疗求助",
        "intrusion": "有人闯入",
        "person_down": "有人倒地",
        "camera_offline": "摄像机离线",
        "camera_tampered": "摄像机遭破坏",
        "camera_input": "摄像机报警输入",
        "camera_frozen": "画面静止",
        "camera_black": "画面全黑",
        "camera_overexposed": "画面过曝",
        "camera_covered": "镜头被遮挡",
        "camera_blurred": "画面模糊",
        "camera_moved": "摄像机被移动",
        "camera_clock": "摄像机时钟不准",
        "camera_low_rate": "视频码率过低",
        "camera_not_recording": "未在录像",
        "camera_not_analysed": "摄像机未报告所见",
        "disk_failed": "录像硬盘故障",
        "storage_full": "录像硬盘已满",
        "storage_full_soon": "录像硬盘即将写满",
        "footage_lost": "录像文件丢失",
        "machine_clock": "主机时钟不准",
        "process_failed": "系统组件故障",
        "spool_trouble": "信号积压",
        "device_silent": "报警设备失联",
        "handled": "已处置",
        "false_alarm": "误报",
        "recovered": "自行恢复",
        "seen": "{by}已看到",
        "coming": "{by}正在赶来",
        "coming_in": "{by}正在赶来，约{minutes}分钟到",
        "arrived": "{by}已到现场",
        "cancel_asked": "住户说是误按，工作人员仍会核实",
        "location": "有了更准确的位置",
        "answer_asked": "看到请打开链接回复：",
        "reply_asked": "回1已看到，2马上到",
        "keys_asked": "看到请按1，马上到请按2。",
        "repeats": "（可能重复）",
        "over": "已结束",
        "reminder": "还没有进展",
        "whistle": "无人应答，已上报",
        "unanswered": "未应答：{names}",
        "more": "{names}等{count}人",
        "join": "、",
        "sentence": "。",
        "comma": "，",
        "consent_title": "{household}想在报警时通知您",
        "consent": "{household}想在报警时通知您，同意或拒绝：",
        "code": "{site}验证码{code}，30分钟内有效。不是您本人操作请忽略。",
        "code_title": "验证码",
        "test": "{site}：测试消息，无需处理。",
        "test_title": "测试消息",
        "console": "详情：",
    },
    "en": {
        "alarm_fire": "Fire alarm",
        "alarm_security": "Security alarm",
        "alarm_medical": "Medical alarm",
        "intrusion": "Intrusion",
        "person_down": "Person on the ground",
        "camera_offline": "Camera offline",
        "camera_tampered": "Camera tampered with",
        "camera_input": "Camera input",
        "camera_frozen": "Picture frozen",
        "camera_black": "Picture black",
        "camera_overexposed": "Picture too bright",
        "camera_covered": "Camera covered",
        "camera_blurred": "Picture blurred",
        "camera_moved": "Camera moved",
        "camera_clock": "Camera clock wrong",
        "camera_low_rate": "Video rate too low",
        "camera_not_recording": "Not recording",
        "camera_not_analysed": "Camera no longer says what it sees",
        "disk_failed": "Recording disk failed",
        "storage_full": "Recording disks full",
        "storage_full_soon": "Recording disks nearly full",
        "footage_lost": "Recordings lost",
        "machine_clock": "Machine clock wrong",
        "process_failed": "Part of the hub failed",
        "spool_trouble": "Signals are held up",
        "device_silent": "Alarm device silent",
        "handled": "handled",
        "false_alarm": "false alarm",
        "recovered": "recovered by itself",
        "seen": "seen by {by}",
        "coming": "{by} is coming",
        "coming_in": "{by} is coming, about {minutes} min",
        "arrived": "{by} has arrived",
        "cancel_asked": "the household says it was a mistake; staff still check",
        "location": "a more exact position has arrived",
        "answer_asked": "Open the link to answer: ",
        "reply_asked": "Reply 1 seen, 2 coming",
        "keys_asked": "Press 1 if you have seen this, 2 if you are coming.",
        "repeats": " (may be a repetition)",
        "over": "Over",
        "reminder": "No progress yet",
        "whistle": "Nobody answered",
        "unanswered": "no answer from {names}",
        "more": "{names} and {count} in all",
        "join": ", ",
        "sentence": ". ",
        "comma": ", ",
        "consent_title": "{household} would like you to be told of its alarms",
        "consent": "{household} would like you to be told of its alarms. Agree or decline: ",
        "code": "{site}: your code is {code}, valid for 30 minutes. Not you? Ignore this.",
        "code_title": "Your code",
        "test": "{site}: a test message, nothing to do.",
        "test_title": "Test message",
        "console": "Details: ",
    },
}


@dataclass(frozen=True, slots=True)
class Told:
    """What a message is about.

    `kind` is an incident's, `what` its headline where the kind has no name of its own; `when` is
    wall time of the site; `link` a whole address or "". `about` is the delivery's own.
    """

    purpose: str
    round_key: str = ""
    locale: str = "zh-CN"
    kind: str = ""
    what: str = ""
    where: str = ""
    when: str = ""
    number: str = ""
    resolution: str = ""
    link: str = ""
    site: str = ""
    unanswered: Sequence[str] = ()
    replies: bool = False
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Text:
    """A message in the four lengths that channels take."""

    title: str
    body: str
    short: str
    spoken: str


def compose(told: Told) -> Text:
    """Return what is said; raises KeyError for a purpose that has no words."""
    words = _WORDS["zh" if told.locale.lower().startswith("zh") else "en"]
    match told.purpose:
        case "consent":
            return _plain(
                words["consent_title"].format(household=told.where),
                words["consent"].format(household=told.where) + told.link,
            )
        case "code":
            digits = str(told.about["digits"])
            said = words["code"].format(site=told.site, code=digits)
            slowly = words["code"].format(site=told.site, code=" ".join(digits))
            return Text(words["code_title"], said, said, slowly)
        case "test":
            return _plain(words["test_title"], words["test"].format(site=told.site))
        case _:
            return _of_incident(told, words)


def _plain(title: str, said: str) -> Text:
    return Text(title, said, said, said)


def _of_incident(told: Told, words: Mapping[str, str]) -> Text:
    what = words.get(told.kind, told.what) if told.kind != "other" else told.what
    lead = _lead(told, words)
    title = words["comma"].join(part for part in (lead, what, told.where) if part)
    again = words["repeats"] if told.about.get("repeats") else ""
    asks = told.purpose in {"alert", "whistle", "reminder"} and bool(told.link)
    extra = _unanswered(told.unanswered, words)
    lines = [title + again, " ".join(part for part in (told.when, told.number) if part), extra]
    if told.link:
        lines.append(words["answer_asked" if asks else "console"] + told.link)
    spoken = words["sentence"].join(part for part in (title, told.when, extra) if part)
    return Text(
        title=title + again,
        body="\n".join(line for line in lines if line),
        short=_short(told, words, lead, what, again, asks=asks),
        spoken=spoken + words["sentence"] + (words["keys_asked"] if told.replies else ""),
    )


def _lead(told: Told, words: Mapping[str, str]) -> str:
    """Return what comes before the incident: why this message comes at all."""
    if told.purpose == "alert":
        return ""
    if told.purpose in {"whistle", "reminder"}:
        return words[told.purpose]
    if told.purpose == "over":
        how = words.get(told.resolution, "")
        return f"{words['over']}{words['comma']}{how}" if how else words["over"]
    return _news(told, words)


def _news(told: Told, words: Mapping[str, str]) -> str:
    word = told.round_key.partition(":")[0]
    about = told.about
    if word == "coming" and about.get("minutes"):
        word = "coming_in"
    if word in {"seen", "coming", "coming_in", "arrived", "cancel_asked", "location"}:
        return words[word].format(by=about.get("by", ""), minutes=about.get("minutes", ""))
    text = about.get("text", "")
    if isinstance(text, Mapping):
        text = text.get(told.locale) or next(iter(text.values()), "")
    return str(text)


def _unanswered(names: Sequence[str], words: Mapping[str, str]) -> str:
    if not names:
        return ""
    shown = words["join"].join(names[:3])
    if len(names) > 3:
        shown = words["more"].format(names=shown, count=len(names))
    return words["unanswered"].format(names=shown)


def _short(
    told: Told, words: Mapping[str, str], lead: str, what: str, again: str, *, asks: bool
) -> str:
    """Return one SMS: what, where and when, the link whole, and what else still fits."""
    limit = SHORT["zh" if words is _WORDS["zh"] else "en"]
    tail = f" {told.link}" if told.link else ""
    head = words["comma"].join(part for part in (lead, what) if part) + again
    said = " ".join(part for part in (head, told.where, told.when) if part)
    if len(said) + len(tail) > limit:
        room = limit - len(tail) - len(head) - len(told.when) - 2
        said = " ".join(part for part in (head, _shortened(told.where, room), told.when) if part)
    asked = words["reply_asked"] if asks and told.replies else ""
    for more in (_unanswered(told.unanswered, words), asked):
        if more and len(said) + len(words["comma"]) + len(more) + len(tail) <= limit:
            said += words["comma"] + more
    return said + tail


def _shortened(where: str, room: int) -> str:
    """Return the end of a place, where it is most exact, in `room` characters if that can be."""
    while len(where) > room and SEPARATOR in where:
        where = where.partition(SEPARATOR)[2]
    return where if len(where) <= room else where[-max(room, _MIN_PLACE) :]
