"""Zones for `camera-hub analyse --zones`, in the shape in which the console sends them."""

from pathlib import Path

import pytest

from app.analyse import read_zones
from core.errors import InvalidInputError

ZONE = '{"name": "Table", "polygon": [[0.4, 0.6], [0.8, 0.6], [0.8, 0.9]], "rules": []}'


def test_zones_need_no_id(tmp_path: Path) -> None:
    """Only a stored zone has one; each gets its own."""
    path = tmp_path / "zones.json"
    path.write_text(f"[{ZONE}, {ZONE}]")
    first, second = read_zones(path)
    assert (first.name, len(first.polygon)) == ("Table", 3)
    assert first.id != second.id


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "cannot be read as JSON"),
        ('{"name": "Table"}', "zone field"),
        (f"[{ZONE.replace('0.9', '9')}]", "polygon"),
    ],
)
def test_zones_that_cannot_be_understood_name_the_place(
    tmp_path: Path, text: str, told: str
) -> None:
    path = tmp_path / "zones.json"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=told):
        read_zones(path)
