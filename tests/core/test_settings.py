"""Settings: one file, the environment over it, no silent mistakes."""

from pathlib import Path

import pytest
import yaml

from core.settings import Settings, SettingsError, load_settings


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "camera-hub.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_need_no_file() -> None:
    settings = load_settings(environ={})
    assert settings == Settings()
    assert settings.database_url.startswith("sqlite+aiosqlite:///")
    assert settings.data_dir.is_absolute()


def test_the_example_in_configs_has_every_setting_with_its_default() -> None:
    """A setting that is added stands there too, and what is shown is what holds."""
    path = Path(__file__).resolve().parents[2] / "configs" / "camera-hub.yaml"
    assert load_settings(path, environ={}) == Settings()

    def keys(values: object, at: str = "") -> set[str]:
        if not isinstance(values, dict) or at == ".governance.acknowledge_within_s":
            return {at}
        return {key for name, value in values.items() for key in keys(value, f"{at}.{name}")}

    shown = keys(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert shown == keys(Settings().model_dump(mode="json"))


def test_the_environment_goes_over_the_file_and_overrides_over_both(tmp_path: Path) -> None:
    path = write(tmp_path, "server: {port: 1000, host: 0.0.0.0}\nlog: {level: debug}\n")
    environ = {"CAMERA_HUB_SERVER__PORT": "2000", "OTHER": "x", "CAMERA_HUB_CONFIG": str(path)}
    environ["CAMERA_HUB_SHARED"] = "/where/footage/is"
    settings = load_settings(None, environ)
    assert (settings.server.port, settings.server.host) == (2000, "0.0.0.0")
    assert settings.log.level == "debug"
    assert load_settings(path, environ, {"server": {"port": 3000}}).server.port == 3000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("server: {prot: 1}", ["server.prot", "did you mean 'port'"]),
        ("sever: {port: 1}", ["'sever'", "did you mean 'server'"]),
        ("log: {zzzzzz: 1}", ["known here", "level", "format"]),
        ("server: {port: seventy}", ["server.port"]),
        ("server: {port: 70000}", ["server.port"]),
        ("log: {level: loud}", ["log.level"]),
        ("[1, 2]", ["mapping"]),
        ("server: {port: [", ["not valid YAML"]),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, said: list[str]) -> None:
    path = write(tmp_path, text)
    with pytest.raises(SettingsError) as refused:
        load_settings(path, {})
    assert str(path) in str(refused.value)
    for words in said:
        assert words in str(refused.value)


def test_a_mistake_in_the_environment_is_named() -> None:
    with pytest.raises(SettingsError, match=r"environment: unknown key 'server\.prot'"):
        load_settings(None, {"CAMERA_HUB_SERVER__PROT": "1"})
    with pytest.raises(SettingsError, match="environment"):
        load_settings(None, {"CAMERA_HUB_SERVER": "1", "CAMERA_HUB_SERVER__PORT": "1"})


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.yaml"):
        load_settings(tmp_path / "nowhere.yaml", {})
    (tmp_path / "latin.yaml").write_bytes(b"log: \xff\xfe")
    with pytest.raises(SettingsError, match="not valid YAML"):
        load_settings(tmp_path / "latin.yaml", {})


def test_settings_cannot_be_changed_later() -> None:
    with pytest.raises(ValueError):
        Settings().server.port = 1


def test_a_broken_file_is_not_quoted(tmp_path: Path) -> None:
    """The line that is broken may be the one with the database's password."""
    path = write(tmp_path, "database:\n  url: 'postgresql+asyncpg://hub:hunter2@db/hub\n")
    with pytest.raises(SettingsError, match="not valid YAML, line") as refused:
        load_settings(path, {})
    assert "hunter2" not in str(refused.value)
    with pytest.raises(SettingsError, match="CAMERA_HUB_DATABASE__URL") as refused:
        load_settings(None, {"CAMERA_HUB_DATABASE__URL": "'hunter2"})
    assert "hunter2" not in str(refused.value)
