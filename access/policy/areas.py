"""Areas are paths, from the widest to the narrowest: `county/township/community/cell`."""

import unicodedata
from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, false, func, or_, true
from sqlalchemy.orm import InstrumentedAttribute

from core.errors import InvalidInputError

MAX_AREA_LENGTH = 200


def normalise_area(text: str) -> str:
    """Return `text` as an area path: NFC, no empty parts, no blanks around parts.

    Raises:
        InvalidInputError: too long, a part is "." or "..", or it holds control characters.
    """
    parts = [part.strip() for part in unicodedata.normalize("NFC", text).split("/")]
    path = "/".join(part for part in parts if part)
    if len(path) > MAX_AREA_LENGTH or not path.isprintable() or {".", ".."} & set(parts):
        raise InvalidInputError(
            f"'{text[:60]}' is not an area.",
            remedy="Write a path such as demo/riverside/jade-garden, "
            f"at most {MAX_AREA_LENGTH} characters.",
            code="invalid-area",
        )
    return path


def ancestors(area: str) -> list[str]:
    """Return `area` and every area above it, narrowest first; the last is "" (the whole site)."""
    parts = area.split("/") if area else []
    return ["/".join(parts[:n]) for n in range(len(parts), 0, -1)] + [""]


def covers(above: str, area: str) -> bool:
    """Say whether `area` is `above` or lies below it."""
    return above in ("", area) or area.startswith(f"{above}/")


def widest(areas: Iterable[str]) -> list[str]:
    """Return `areas` without those that lie below another one, sorted."""
    kept: list[str] = []
    for area in sorted(set(areas), key=lambda path: (path.count("/") if path else -1, path)):
        if not any(covers(above, area) for above in kept):
            kept.append(area)
    return sorted(kept)


def in_areas(
    column: InstrumentedAttribute[str] | ColumnElement[str], areas: Sequence[str]
) -> ColumnElement[bool]:
    """Return the condition that `column` lies in one of `areas`: `[]` is nothing, `[""]` is all.

    Compares with `substr`, not LIKE: on SQLite LIKE ignores case, and an area must not reach
    another one that is only written differently.
    """
    if "" in areas:
        return true()
    if not areas:
        return false()
    return or_(
        *(
            condition
            for area in areas
            for condition in (
                column == area,
                func.substr(column, 1, len(area) + 1) == f"{area}/",
            )
        )
    )
