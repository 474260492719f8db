"""Times of the ledger: whole microseconds, so that what is hashed is what is stored."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_us(at: datetime) -> int:
    """Return `at` (aware) in microseconds since 1970-01-01 UTC, without a rounding float."""
    return (at - _EPOCH) // _MICROSECOND


def from_us(at_us: int) -> datetime:
    """Return the time (UTC) that `at_us` microseconds since 1970-01-01 UTC stand for."""
    return _EPOCH + timedelta(microseconds=at_us)
