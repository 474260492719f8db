"""What a person wrote wrongly is told with its line, whatever the library makes of it."""

from pathlib import Path

import pytest
import yaml

from access.jurisdictions.reading import JurisdictionError
from access.jurisdictions.reading import read_file as read_jurisdiction
from app.site_file import read_file as read_site
from core.errors import HubError, InvalidInputError
from core.settings import SettingsError, load_settings
from core.yaml_text import read_yaml

VALUES = ["2026-13-45", "0000-00-00T24:60:60Z", "!!int x", "!!int ''", "!!timestamp x", "!!float x"]
DEEP = "[" * 500


@pytest.mark.parametrize("value", VALUES)
def test_a_value_that_cannot_be_is_told_with_its_line(value: str) -> None:
    with pytest.raises(yaml.MarkedYAMLError) as refused:
        read_yaml(f"first: 1\nsecond: {value}\n")
    assert refused.value.problem_mark is not None
    assert refused.value.problem_mark.line == 1


def test_what_is_nested_without_end_is_refused() -> None:
    with pytest.raises(yaml.YAMLError):
        read_yaml(DEEP)


def test_objects_of_the_language_are_not_made() -> None:
    with pytest.raises(yaml.YAMLError):
        read_yaml("!!python/object/apply:os.getcwd []")


@pytest.mark.parametrize("value", [*VALUES, DEEP])
def test_files_with_it_are_refused_in_words(tmp_path: Path, value: str) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(f"a: {value}\n", encoding="utf-8")
    for read, kind in (
        (lambda: read_site(file), InvalidInputError),
        (lambda: read_jurisdiction("own", tmp_path), JurisdictionError),
        (lambda: load_settings(file, {}), SettingsError),
        (lambda: load_settings(None, {"CAMERA_HUB_SITE__NAME": value}), SettingsError),
    ):
        with pytest.raises(HubError, match="YAML") as refused:
            read()
        assert isinstance(refused.value, kind)
