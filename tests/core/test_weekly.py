"""Hours of the week: what is taken for a time of day, and when a window runs."""

from datetime import datetime
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from core.weekly import WeeklyWindow


def test_a_time_without_quotes_in_yaml_is_refused_and_not_taken_for_minutes() -> None:
    """YAML reads 22:00 as 1320, and 1320 seconds are 00:22."""
    said = yaml.safe_load("{days: [mon], from: 22:00, to: '23:00'}")
    assert said["from"] == 1320
    with pytest.raises(ValidationError, match="in quotes"):
        WeeklyWindow.model_validate(said)


@pytest.mark.parametrize("start", ["24:00", "7:00", "07:00:30", "noon", 7, None, 7.5, True])
def test_what_is_no_time_of_day_is_refused(start: Any) -> None:
    with pytest.raises(ValidationError):
        WeeklyWindow.model_validate({"days": ["mon"], "from": start, "to": "08:00"})


@pytest.mark.parametrize(
    ("start", "end", "at", "runs"),
    [
        ("08:00", "18:00", "2026-01-05T08:00", True),  # a Monday
        ("08:00", "18:00", "2026-01-05T18:00", False),
        ("22:00", "06:00", "2026-01-06T05:59", True),
        ("22:00", "06:00", "2026-01-06T22:00", False),
        ("06:00", "06:00", "2026-01-06T05:59", True),
        ("06:00", "06:00", "2026-01-05T05:59", False),
    ],
)
def test_a_window_belongs_to_the_day_it_starts_on(
    start: str, end: str, at: str, runs: bool
) -> None:
    window = WeeklyWindow.model_validate({"days": ["mon"], "from": start, "to": end})
    assert window.runs(datetime.fromisoformat(at)) is runs
    again = WeeklyWindow.model_validate(window.model_dump(mode="json", by_alias=True))
    assert again == window
