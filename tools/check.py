"""`make check`: lint, types, imports, migrations, console, docs, known holes. One line each."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools import audit
from tools.check_docs import check_docs
from tools.setup import node_environment

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"


def command(*words: str, cwd: Path = ROOT, env: dict[str, str] | None = None) -> Callable[[], str]:
    """Return a check that runs a command and gives its output when it fails, else ''."""

    def check() -> str:
        done = subprocess.run(words, cwd=cwd, env=env, check=False, capture_output=True, text=True)
        return "" if done.returncode == 0 else (done.stdout + done.stderr)[-8000:] or "failed"

    return check


def migrations() -> str:
    """Upgrade an empty database and compare it with the models."""
    from app.migrate import differences, upgrade
    from core.database import Database

    async def compare() -> list[object]:
        with tempfile.TemporaryDirectory() as folder:
            database = Database(f"sqlite+aiosqlite:///{folder}/empty.db")
            await upgrade(database)
            found = await differences(database)
            await database.close()
            return found

    found = asyncio.run(compare())
    return "\n".join(f"models and migrations differ: {item}" for item in found)


def openapi_is_current() -> str:
    """Compare web/openapi.json and docs/asyncapi.json with what the server says."""
    from app.cli.site import asyncapi_text, openapi_text

    old = []
    if (ROOT / "web" / "openapi.json").read_text() != openapi_text():
        old.append("camera-hub openapi --output web/openapi.json")
    if (ROOT / "docs" / "asyncapi.json").read_text() != asyncapi_text():
        old.append("camera-hub asyncapi --output docs/asyncapi.json")
    return "\n".join(f"the description is old; run: .venv/bin/{command}" for command in old)


def no_registry_hosts() -> str:
    """Look for lock files that carry addresses; no committed file may."""
    lock = (ROOT / "web" / "package-lock.json").read_text()
    bad = [line.strip() for line in lock.splitlines() if '"resolved": "http' in line]
    return f"web/package-lock.json carries addresses, e.g. {bad[0]}" if bad else ""


def docker_files() -> str:
    """Compose must at least be valid YAML with services that name images or builds."""
    import yaml

    text = (ROOT / "docker" / "compose.yaml").read_text()
    services = yaml.safe_load(text)["services"]
    bad = [name for name, service in services.items() if not {"image", "build"} & set(service)]
    return f"compose services without image or build: {bad}" if bad else ""


def main() -> int:
    """Run every check; return 1 if any failed."""
    npm, env = node_environment()
    web = ROOT / "web"
    checks: dict[str, Callable[[], str]] = {
        "ruff check": command(str(BIN / "ruff"), "check", "."),
        "ruff format": command(str(BIN / "ruff"), "format", "--check", "."),
        "mypy --strict": command(str(BIN / "mypy")),
        "import contract": command(str(BIN / "lint-imports")),
        "migrations equal models": migrations,
        "docs": check_docs,
        "openapi": openapi_is_current,
        "no addresses in locks": no_registry_hosts,
        "compose": docker_files,
        "console": command(*npm, "run", "check", cwd=web, env=env),
        "console's tests": command(*npm, "test", cwd=web, env=env),
        "pip-audit": lambda: audit.python_packages([str(BIN / "pip-audit")]),
        "npm audit": lambda: audit.console_packages(npm, env),
    }
    if shutil.which("docker") and not command("docker", "compose", "version")():
        quiet = dict(os.environ, POSTGRES_PASSWORD="check")  # noqa: S106
        checks["docker compose config"] = command(
            "docker", "compose", "-f", "docker/compose.yaml", "config", "-q", env=quiet
        )
    failed = 0
    for name, check in checks.items():
        started = time.monotonic()
        problem = check()
        failed += bool(problem)
        print(
            f"[check] {'FAIL' if problem else 'ok  '} {name} ({time.monotonic() - started:.1f} s)"
        )
        if problem:
            print(problem)
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
