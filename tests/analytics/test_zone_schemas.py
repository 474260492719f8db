"""Zones as an editor sends them: what is taken and what is refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from analytics.zones.schemas import Rule, ZoneIn, ZonesUpdate

SQUARE = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]


def zone(**changes: Any) -> dict[str, Any]:
    return {"name": "Pump house", "polygon": SQUARE, "rules": [], **changes}


def test_a_zone_survives_the_wire_unchanged() -> None:
    rule = {
        "kind": "intrusion",
        "enabled": True,
        "severity": "severe",
        "objects": ["person", "car"],
        "dwell_seconds": 2.0,
        "confidence": 0.5,
        "schedule": [{"days": ["mon", "sun"], "from": "22:00", "to": "06:00"}],
        "cooldown_seconds": 60.0,
    }
    parsed = ZoneIn.model_validate(zone(rules=[rule]))
    written = parsed.model_dump(mode="json", by_alias=True)
    assert written["rules"] == [rule]
    assert written["polygon"] == SQUARE
    assert ZoneIn.model_validate(written) == parsed


@pytest.mark.parametrize(
    "polygon",
    [
        [[0.1, 0.1], [0.9, 0.9]],
        [[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]],
        [[0.1, 0.1], [0.5, 0.5], [0.9, 0.9]],
        [[0.1, 0.1], [1.2, 0.1], [0.5, 0.9]],
        [[-0.1, 0.1], [0.9, 0.1], [0.5, 0.9]],
        [[0.5 + i / 1000, (i * i % 97) / 100] for i in range(65)],
        [[float("nan"), 0.1], [0.9, 0.1], [0.5, 0.9]],
    ],
    ids=["two points", "crosses itself", "a line", "beyond", "negative", "65 points", "nan"],
)
def test_an_outline_that_encloses_nothing_clear_is_refused(polygon: list[list[float]]) -> None:
    with pytest.raises(ValidationError):
        ZoneIn.model_validate(zone(polygon=polygon))


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "loitering"},
        {"severity": "awful"},
        {"objects": []},
        {"objects": [" "]},
        {"confidence": 1.5},
        {"dwell_seconds": -1},
        {"cooldown_seconds": -1},
        {"schedule": [{"days": ["monday"], "from": "22:00", "to": "06:00"}]},
        {"schedule": [{"days": ["mon", "mon"], "from": "22:00", "to": "06:00"}]},
        {"schedule": [{"days": [], "from": "22:00", "to": "06:00"}]},
        {"schedule": [{"days": ["mon"], "from": "24:00", "to": "06:00"}]},
        {"schedule": [{"days": ["mon"], "from": "22:00:30", "to": "06:00"}]},
        {"schedule": [{"days": ["mon"], "from": "22:00"}]},
        {"face": True},
    ],
)
def test_a_rule_that_is_not_understood_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Rule.model_validate({"kind": "intrusion", **change})


def test_more_than_64_zones_are_refused() -> None:
    with pytest.raises(ValidationError):
        ZonesUpdate.model_validate({"version": 0, "zones": [zone()] * 65})
