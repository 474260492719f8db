"""The page of transparency as text for a notice board: Markdown or HTML, everything escaped.

In either language of the console; what people wrote of a camera stays as they wrote it.
"""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass

from access.jurisdictions.schemas import Language
from access.policy.areas import ancestors
from api.noticeboard import FEWEST, TransparencyOut

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~&])")
_STYLE = (
    "body{font:14px/1.5 sans-serif;margin:2em}table{border-collapse:collapse;margin:1em 0}"
    "td,th{border:1px solid #999;padding:.3em .6em;text-align:left;vertical-align:top}"
)

Rows = list[tuple[str, ...]]


@dataclass(frozen=True)
class Words:
    """The words of the page in one language; `{…}` are filled in."""

    title: str
    counted: str
    homes: str
    unsaid: str
    fewer: str
    days: str
    hours: str
    camera_heads: tuple[str, ...]
    home_heads: tuple[str, ...]
    month_heads: tuple[str, ...]
    kinds: dict[str, str]
    purposes: dict[str, str]
    listed: str
    counts: str


WORDS: dict[Language, Words] = {
    "en": Words(
        title="{site}: cameras and who looks through them",
        counted="Counted {at} UTC. Rules: {law}. Owner: {owner}. Contact: {contact}.",
        homes="Home cameras, which only their households open: {count}.",
        unsaid="not said",
        fewer="fewer than {few}",
        days="{n} days",
        hours="{n} hours",
        camera_heads=("Camera", "Area", "Place", "Purpose", "Owner", "Contact", "Kept for"),
        home_heads=("Area", "Home cameras"),
        month_heads=("Month", "Viewings", "For", "Exports asked for", "approved", "refused"),
        kinds={"public_space": "public space", "shared_space": "shared space"},
        purposes={
            "incident": "an incident",
            "case": "a case",
            "maintenance": "maintenance",
            "subject_access": "a person's own request",
            "exercise": "an exercise",
            "none": "none needed",
        },
        listed=", ",
        counts="{name} {count}",
    ),
    "zh-CN": Words(
        title="{site}：这里的摄像机和查看情况",
        counted="统计时间：{at}（UTC）。适用规定：{law}。负责单位：{owner}。联系方式：{contact}。",
        homes="家庭摄像机（只有本户能看）：{count}。",
        unsaid="未说明",
        fewer="少于 {few}",
        days="{n} 天",
        hours="{n} 小时",
        camera_heads=("摄像机", "区域", "场所", "用途", "负责单位", "联系方式", "保存时间"),
        home_heads=("区域", "家庭摄像机"),
        month_heads=("月份", "查看次数", "用途", "申请导出", "批准", "拒绝"),
        kinds={"public_space": "公共空间", "shared_space": "共用空间"},
        purposes={
            "incident": "处理事件",
            "case": "办理案件",
            "maintenance": "维护",
            "subject_access": "本人申请查看",
            "exercise": "演练",
            "none": "无需用途",
        },
        listed="，",
        counts="{name} {count} 次",
    ),
}


def camera_rows(page: TransparencyOut, language: Language) -> Rows:
    """Return one row of texts for each camera."""
    words = WORDS[language]
    return [
        (
            camera.name,
            _area(page, camera.area),
            " / ".join(
                filter(
                    None,
                    (
                        words.kinds.get(camera.place_kind, ""),
                        camera.place.spoken(language) if camera.place else camera.place_type,
                    ),
                )
            ),
            camera.purpose or words.unsaid,
            camera.owner or words.unsaid,
            camera.contact or words.unsaid,
            kept(camera.retention_hours, words),
        )
        for camera in page.cameras
    ]


def month_rows(page: TransparencyOut, language: Language) -> Rows:
    """Return one row of texts for each month, the newest first."""
    words = WORDS[language]
    return [
        (
            month.month,
            str(month.viewings),
            words.listed.join(
                words.counts.format(name=words.purposes.get(purpose, purpose), count=count)
                for purpose, count in month.by_purpose.items()
            ),
            str(month.requested_exports),
            str(month.exports),
            str(month.refused_exports),
        )
        for month in reversed(page.months)
    ]


def home_rows(page: TransparencyOut, language: Language) -> Rows:
    """Return one row of texts for each area whose home cameras are counted."""
    words = WORDS[language]
    return [(_area(page, homes.area), few(homes.cameras, words)) for homes in page.homes_by_area]


def _area(page: TransparencyOut, path: str) -> str:
    """Return an area as people call it, the widest first; parts without a name as they are."""
    parts = [above for above in reversed(ancestors(path)) if above]
    called = [page.area_names.get(one, one.rpartition("/")[2]) for one in parts]
    return " › ".join(called) or page.site


def few(count: int | None, words: Words) -> str:
    """Return a count that is not told when it is small."""
    return words.fewer.format(few=FEWEST) if count is None else str(count)


def kept(hours: int | None, words: Words) -> str:
    """Return how long recordings are kept, in words."""
    if hours is None:
        return words.unsaid
    if hours >= 48 and hours % 24 == 0:
        return words.days.format(n=hours // 24)
    return words.hours.format(n=hours)


def as_markdown(page: TransparencyOut, language: Language = "en") -> str:
    """Return the page as Markdown."""
    words = WORDS[language]
    return "\n".join(
        [
            f"# {words.title.format(site=_md(page.site))}",
            "",
            _counted(page, language, _md),
            "",
            *_md_table(words.camera_heads, camera_rows(page, language)),
            "",
            words.homes.format(count=few(page.homes, words)),
            "",
            *_md_table(words.home_heads, home_rows(page, language)),
            "",
            *_md_table(words.month_heads, month_rows(page, language)),
            "",
        ]
    )


def as_html(page: TransparencyOut, language: Language = "en") -> str:
    """Return the page as one HTML document without scripts or anything from elsewhere."""
    words, site = WORDS[language], html.escape(page.site)
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="{language}"><head><meta charset="utf-8"><title>{site}</title>',
            f"<style>{_STYLE}</style></head><body>",
            f"<h1>{words.title.format(site=site)}</h1>",
            f"<p>{_counted(page, language, html.escape)}</p>",
            *_html_table(words.camera_heads, camera_rows(page, language)),
            f"<p>{words.homes.format(count=html.escape(few(page.homes, words)))}</p>",
            *_html_table(words.home_heads, home_rows(page, language)),
            *_html_table(words.month_heads, month_rows(page, language)),
            "</body></html>",
            "",
        ]
    )


def _counted(page: TransparencyOut, language: Language, escaped: Callable[[str], str]) -> str:
    words = WORDS[language]
    return words.counted.format(
        at=f"{page.counted_at:%Y-%m-%d %H:%M}",
        law=escaped(page.law.spoken(language)),
        owner=escaped(page.owner or words.unsaid),
        contact=escaped(page.contact or words.unsaid),
    )


def _md(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def _md_table(heads: tuple[str, ...], rows: Rows) -> list[str]:
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    return lines + ["| " + " | ".join(_md(cell) for cell in row) + " |" for row in rows]


def _html_table(heads: tuple[str, ...], rows: Rows) -> list[str]:
    def line(cells: tuple[str, ...], tag: str) -> str:
        inner = "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells)
        return f"<tr>{inner}</tr>"

    return [
        "<table>",
        line(heads, "th"),
        *(line(row, "td") for row in rows),
        "</table>",
    ]
