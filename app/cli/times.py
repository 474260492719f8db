"""Times as they are typed."""

from datetime import UTC, datetime

from core.errors import InvalidInputError


def moment(text: str) -> datetime | None:
    """Return a typed time (ISO 8601) in UTC; None for an empty text.

    Raises:
        InvalidInputError: it is no time.
    """
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInputError(
            f"'{text}' is no time.", remedy="Write one such as 2026-01-31T08:00+08:00."
        ) from None
    # Without a zone it is this machine's.
    return found.astimezone(UTC)
