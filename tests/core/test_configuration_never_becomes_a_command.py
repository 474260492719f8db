"""Invariant 10: no shell string, no pickle, no unsafe YAML, no template, no eval."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.settings import SettingsError, load_settings

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("core", "access", "camera_hub", "analytics", "governance", "api", "app", "bench")

BANNED_MODULES = {"pickle", "dill", "cloudpickle", "marshal", "shelve", "jinja2", "mako", "joblib"}
BANNED_CALLS = {
    "eval",
    "exec",
    "compile",
    "os.system",
    "os.popen",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "asyncio.create_subprocess_shell",
    "yaml.load",
    "yaml.load_all",
    "yaml.unsafe_load",
    "yaml.full_load",
    "yaml.Loader",
    "yaml.UnsafeLoader",
    "yaml.FullLoader",
    "string.Template",
    "torch.load",
    "joblib.load",
}
IMPORTS = (ast.Import, ast.ImportFrom)


def name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return ""


def offences(source: str) -> Iterator[str]:
    """Yield what `source` does that could turn data into a command."""
    for node in ast.walk(ast.parse(source)):
        for offence in _imports(node) if isinstance(node, IMPORTS) else _uses(node):
            yield f"{getattr(node, 'lineno', 0)}: {offence}"


def _imports(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
    for alias in node.names:
        full = f"{module}.{alias.name}".lstrip(".")
        if full.split(".")[0] in BANNED_MODULES or full in BANNED_CALLS:
            yield f"import of {full}"


def _uses(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Attribute) and name_of(node) in BANNED_CALLS:
        yield name_of(node)
    if not isinstance(node, ast.Call):
        return
    if isinstance(node.func, ast.Name) and node.func.id in BANNED_CALLS:
        yield f"{node.func.id}()"
    for keyword in node.keywords:
        harmless = isinstance(keyword.value, ast.Constant) and not keyword.value.value
        if keyword.arg in {"shell", "allow_pickle"} and not harmless:
            yield f"{keyword.arg}="


@pytest.mark.parametrize("package", PACKAGES)
def test_configuration_never_becomes_a_command(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    found = [
        f"{path.relative_to(ROOT)}:{offence}"
        for path in files
        for offence in offences(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import subprocess\nsubprocess.run('x', shell=True)",
        "import os\nos.system('x')",
        "from os import system",
        "import pickle",
        "from pickle import loads",
        "import yaml\nyaml.load('x', yaml.SafeLoader)",
        "eval('1')",
        "exec('1')",
        "import numpy\nnumpy.load('f', allow_pickle=True)",
        "from jinja2 import Template",
        "import asyncio\nasyncio.create_subprocess_shell('x')",
    ],
)
def test_the_walk_finds_each_offence(source: str) -> None:
    assert list(offences(source))


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch PLACE']",
        "data_dir: !!python/object/new:os.system ['touch PLACE']",
        "log: !!python/name:os.system",
    ],
)
def test_an_object_in_the_settings_is_refused(tmp_path: Path, text: str) -> None:
    place = tmp_path / "made"
    path = tmp_path / "camera-hub.yaml"
    path.write_text(text.replace("PLACE", str(place)))
    with pytest.raises(SettingsError, match="not valid YAML"):
        load_settings(path, {})
    assert not place.exists()


def test_an_object_in_the_environment_is_refused() -> None:
    with pytest.raises(SettingsError):
        load_settings(None, {"CAMERA_HUB_LOG__LEVEL": "!!python/name:os.system"})


def test_a_setting_is_text_and_nothing_more(tmp_path: Path) -> None:
    path = tmp_path / "camera-hub.yaml"
    path.write_text("server: {public_url: '$(id) `id` {{7*7}} ${HOME} %(x)s'}")
    assert load_settings(path, {}).server.public_url == "$(id) `id` {{7*7}} ${HOME} %(x)s"
