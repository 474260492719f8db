"""Every link, file, command and test that README and docs name must exist."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs", "web/README.md")
_LINK = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:)([^)#\s]+)(#[^)\s]*)?\)")
_IMAGE_OR_FILE = re.compile(r'src="(?!https?:)([^"]+)"')
_FENCE = re.compile(r"^```(?:console|sh|bash)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
_TEST = re.compile(r"`((?:[\w-]+/)*test_\w+\.py)::(\w+)`")
_INLINE = re.compile(r"`((?:camera-hub|make) [^`]+)`")


def pages() -> list[Path]:
    """Return the Markdown files that are checked."""
    found: list[Path] = []
    for name in PAGES:
        path = ROOT / name
        found += sorted(path.rglob("*.md")) if path.is_dir() else [path] if path.exists() else []
    return found


def make_targets() -> set[str]:
    """Return the targets of the Makefile."""
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def commands() -> dict[str, set[str]]:
    """Return every `camera-hub` command path, such as 'cameras add', with its options."""
    import click
    import typer

    from app.cli.main import app

    found: dict[str, set[str]] = {}

    def walk(command: click.Command, path: list[str]) -> None:
        options = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
        found[" ".join(path)] = options | {"--help"}
        if hasattr(command, "commands"):
            for name, sub in command.commands.items():
                walk(sub, [*path, name])

    walk(typer.main.get_command(app), [])
    return found


def _command_lines(text: str) -> list[str]:
    lines = [m for m in _INLINE.findall(text)]
    for block in _FENCE.findall(text):
        lines += [line.strip().removeprefix("$ ") for line in block.splitlines()]
    return [line for line in lines if line.startswith(("camera-hub ", "make "))]


def _check_command(line: str, known: dict[str, set[str]], targets: set[str]) -> str:
    words = line.split("#", maxsplit=1)[0].split()
    if words[0] == "make":
        names = [w for w in words[1:] if "=" not in w and not w.startswith(("-", '"', "&", "|"))][
            :1
        ]
        unknown = [n for n in names if n not in targets]
        return f"no make target '{unknown[0]}'" if unknown else ""
    path: list[str] = []
    rest = words[1:]
    while rest and rest[0].startswith("-"):  # options before the command take one value each
        if rest[0] not in known[""]:
            return f"no option '{rest[0]}' of camera-hub"
        rest = rest[2:]
    while rest and " ".join([*path, rest[0]]) in known:
        path.append(rest.pop(0))
    if not path and rest and re.fullmatch(r"[a-z-]+", rest[0]):
        return f"no command 'camera-hub {rest[0]}'"
    options = known[" ".join(path)]
    groups = [p for p in known if p.startswith(" ".join(path) + " ")] if path else []
    if groups and rest and re.fullmatch(r"[a-z-]+", rest[0]):
        return f"no command 'camera-hub {' '.join([*path, rest[0]])}'"
    for word in rest:
        if word.startswith("--") and word.split("=")[0] not in options:
            return f"no option '{word}' of 'camera-hub {' '.join(path)}'"
    return ""


def unknown_tests(text: str) -> list[str]:
    """Return the tests named in `text` (`folder/test_x.py::test_y`, below tests/) that are none."""
    unknown = []
    for name, test in _TEST.findall(text):
        path = ROOT / "tests" / name
        if not path.is_file() or not _defines(path, test):
            unknown.append(f"{name}::{test}")
    return unknown


@cache
def _functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def _defines(path: Path, test: str) -> bool:
    return test.startswith("test_") and test in _functions(path)


def check_docs() -> str:
    """Return one line per broken link or unknown command; '' when all is well."""
    known, targets = commands(), make_targets()
    problems = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        where = page.relative_to(ROOT)
        for target in [m[0] for m in _LINK.findall(text)] + _IMAGE_OR_FILE.findall(text):
            if not (page.parent / target).exists():
                problems.append(f"{where}: broken link {target}")
        problems += [f"{where}: no test {name}" for name in unknown_tests(text)]
        for line in _command_lines(text):
            if problem := _check_command(line, known, targets):
                problems.append(f"{where}: `{line}`: {problem}")
    return "\n".join(problems)
