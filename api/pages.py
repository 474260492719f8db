"""Pages of lists: `?limit=50&cursor=…` → `{"items": […], "next_cursor": …}`.

A cursor holds the sort values of the last item, nothing else; it grants nothing, so it is
encoded and checked, but not signed.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import orjson
from fastapi import Depends, Query
from pydantic import BaseModel

from core.errors import InvalidInputError

MAX_LIMIT = 200
_LARGEST = 2**31 - 1

T = TypeVar("T")
Item = TypeVar("Item")


class Page(BaseModel, Generic[T]):
    """Part of a list. `next_cursor` is null at the end."""

    items: list[T]
    next_cursor: str | None = None


class PageQuery:
    """The part that a caller asks for."""

    def __init__(
        self,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="At most so many")] = 50,
        cursor: Annotated[
            str | None, Query(max_length=500, description="`next_cursor` of the page before")
        ] = None,
    ) -> None:
        self.limit = limit
        self.cursor = cursor

    @property
    def fetch(self) -> int:
        """How many rows to read: one more than shown tells whether there is a next page."""
        return self.limit + 1

    def after(self, *types: type) -> list[Any] | None:
        """Return the values in the cursor as `types` (str, int, bool, UUID, datetime), or None.

        Raises:
            InvalidInputError: code `bad-cursor`.
        """
        return None if self.cursor is None else decode_cursor(self.cursor, *types)

    def page(
        self, rows: Sequence[Item], key: Callable[[Item], Sequence[Any]], items: list[T]
    ) -> Page[T]:
        """Return the page of `items` made from the first `limit` of `rows`.

        `key` gives the sort values of a row, in the order in which `after` asks for them.
        """
        more = len(rows) > self.limit
        cursor = encode_cursor(*key(rows[self.limit - 1])) if more else None
        return Page(items=items[: self.limit], next_cursor=cursor)


Paging = Annotated[PageQuery, Depends()]


def encode_cursor(*values: Any) -> str:
    """Return `values` (str, int, bool, UUID, aware datetime) as an opaque text."""
    plain = [str(v) if isinstance(v, UUID) else v for v in values]
    return base64.urlsafe_b64encode(orjson.dumps(plain)).decode().rstrip("=")


def decode_cursor(cursor: str, *types: type) -> list[Any]:
    """Return the values in `cursor`, checked against `types`.

    Raises:
        InvalidInputError: code `bad-cursor`: not a cursor of this list.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        values = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if not isinstance(values, list) or len(values) != len(types):
            raise ValueError("wrong shape")
        return [_typed(value, kind) for value, kind in zip(values, types, strict=True)]
    except (binascii.Error, ValueError, OverflowError) as error:
        raise InvalidInputError(
            "The cursor does not belong to this list.",
            remedy="Begin again without a cursor.",
            code="bad-cursor",
        ) from error


def _typed(value: Any, kind: type) -> Any:
    if kind is UUID and isinstance(value, str):
        return UUID(value)
    if kind is datetime and isinstance(value, str):
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError("naive time")
        return moment.astimezone(UTC)
    if type(value) is not kind:
        raise ValueError("wrong type")
    # What no list sorts by, and a store may refuse.
    if isinstance(value, str) and not value.isprintable():
        raise ValueError("not printable")
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise ValueError("too large")
    return value
