"""The page of transparency as text for a notice board: Markdown or HTML, everything escaped."""

import html
import re

from api.noticeboard import FEWEST, TransparencyOut

_KINDS = {"public_space": "public space", "shared_space": "shared space"}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~&])")
_STYLE = (
    "body{font:14px/1.5 sans-serif;margin:2em}table{border-collapse:collapse;margin:1em 0}"
    "td,th{border:1px solid #999;padding:.3em .6em;text-align:left;vertical-align:top}"
)

Rows = list[tuple[str, ...]]


def camera_rows(page: TransparencyOut) -> Rows:
    """Return one row of texts for each camera."""
    return [
        (
            camera.name,
            camera.area or page.site,
            " / ".join(filter(None, (_KINDS.get(camera.place_kind, ""), camera.place_type))),
            camera.purpose or "not said",
            camera.owner or "not said",
            camera.contact or "not said",
            kept(camera.retention_hours),
        )
        for camera in page.cameras
    ]


CAMERA_HEADS = ("Camera", "Area", "Place", "Purpose", "Owner", "Contact", "Kept for")
MONTH_HEADS = ("Month", "Viewings", "For", "Exports asked for", "approved", "refused")
HOME_HEADS = ("Area", "Home cameras")


def month_rows(page: TransparencyOut) -> Rows:
    """Return one row of texts for each month, the newest first."""
    return [
        (
            month.month,
            str(month.viewings),
            ", ".join(f"{purpose} {count}" for purpose, count in month.by_purpose.items()),
            str(month.requested_exports),
            str(month.exports),
            str(month.refused_exports),
        )
        for month in reversed(page.months)
    ]


def home_rows(page: TransparencyOut) -> Rows:
    """Return one row of texts for each area whose home cameras are counted."""
    return [(homes.area or page.site, few(homes.cameras)) for homes in page.homes_by_area]


def few(count: int | None) -> str:
    """Return a count that is not told when it is small."""
    return f"fewer than {FEWEST}" if count is None else str(count)


def kept(hours: int | None) -> str:
    """Return how long recordings are kept, in words."""
    if hours is None:
        return "not said"
    return f"{hours // 24} days" if hours >= 48 and hours % 24 == 0 else f"{hours} hours"


def as_markdown(page: TransparencyOut) -> str:
    """Return the page as Markdown."""
    return "\n".join(
        [
            f"# {_md(page.site)}: cameras and who looks through them",
            "",
            f"Counted {page.counted_at:%Y-%m-%d %H:%M} UTC. Rules: {_md(page.law)}. "
            f"Owner: {_md(page.owner or 'not said')}. Contact: {_md(page.contact or 'not said')}.",
            "",
            *_md_table(CAMERA_HEADS, camera_rows(page)),
            "",
            f"Home cameras, which only their households open: {few(page.homes)}.",
            "",
            *_md_table(HOME_HEADS, home_rows(page)),
            "",
            *_md_table(MONTH_HEADS, month_rows(page)),
            "",
        ]
    )


def as_html(page: TransparencyOut) -> str:
    """Return the page as one HTML document without scripts or anything from elsewhere."""
    e = html.escape
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{e(page.site)}</title>',
            f"<style>{_STYLE}</style></head><body>",
            f"<h1>{e(page.site)}: cameras and who looks through them</h1>",
            f"<p>Counted {page.counted_at:%Y-%m-%d %H:%M} UTC. Rules: {e(page.law)}. "
            f"Owner: {e(page.owner or 'not said')}. Contact: {e(page.contact or 'not said')}.</p>",
            *_html_table(CAMERA_HEADS, camera_rows(page)),
            f"<p>Home cameras, which only their households open: {e(few(page.homes))}.</p>",
            *_html_table(HOME_HEADS, home_rows(page)),
            *_html_table(MONTH_HEADS, month_rows(page)),
            "</body></html>",
            "",
        ]
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
