"""Months of the site's calendar: `2026-11`, from midnight to midnight in its time zone."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from core.errors import InvalidInputError

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month. `start` and `end` are in UTC; a month with a change of clocks is an hour off."""

    year: int
    number: int

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"

    @classmethod
    def parse(cls, text: str) -> "Month":
        """Return the month that `text` names.

        Raises:
            InvalidInputError: code `bad-month`.
        """
        found = _MONTH.fullmatch(text)
        if found is None or not 1970 <= int(found[1]) <= 9998:
            raise InvalidInputError(
                f"'{text[:20]}' is not a month.", remedy="Write it as 2026-11.", code="bad-month"
            )
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of(cls, moment: datetime, zone: tzinfo) -> "Month":
        """Return the month in which `moment` lies for those who live in `zone`."""
        local = moment.astimezone(zone)
        return cls(local.year, local.month)

    def plus(self, months: int) -> "Month":
        """Return the month that comes so many months later."""
        count = self.year * 12 + self.number - 1 + months
        return Month(count // 12, count % 12 + 1)

    def start(self, zone: tzinfo) -> datetime:
        """Return the first moment of the month."""
        return datetime(self.year, self.number, 1, tzinfo=zone).astimezone(UTC)

    def end(self, zone: tzinfo) -> datetime:
        """Return the first moment of the next month."""
        return self.plus(1).start(zone)
