"""Are known holes in what is installed? Asks the advisory services; says loudly when they are away.

A vulnerability fails the check. A service that cannot be reached, or that does not know our
packages (a mirror without advisories), does not: a build on an island must stay possible.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements" / "base.txt"
_TIMEOUT_S = 120


def python_packages(pip_audit: Sequence[str], requirements: Path = REQUIREMENTS) -> str:
    """Audit the hashed requirements; return what is wrong, '' when nothing is known to be."""
    words = [
        *pip_audit, "-r", str(requirements), "--require-hashes", "--disable-pip", "--format",
        "json", "--progress-spinner", "off", "--timeout", "10",
    ]  # fmt: skip
    return judge_python(*_run(words, cwd=ROOT))


def console_packages(npm: Sequence[str], env: Mapping[str, str] | None) -> str:
    """Audit what the console is built from and of; return what is wrong."""
    words = [*npm, "audit", "--json"]
    return judge_npm(*_run(words, cwd=ROOT / "web", env=env))


def judge_python(status: int, answer: str, trouble: str) -> str:
    """Return what `pip-audit --format json` found; '' if nothing, or if it could not look."""
    try:
        found = json.loads(answer)["dependencies"]
    except (json.JSONDecodeError, KeyError, TypeError):
        return _away("pip-audit", trouble or answer or f"exit status {status}")
    bad = [
        f"{package['name']} {package['version']}: {hole['id']}, fixed in "
        f"{', '.join(hole['fix_versions']) or 'no version yet'}"
        for package in found
        for hole in package.get("vulns", [])
    ]
    unknown = [package["name"] for package in found if "skip_reason" in package]
    if not bad and unknown:
        return _away("pip-audit", f"{len(unknown)} of {len(found)} packages are not known there")
    return "\n".join(bad)


def judge_npm(status: int, answer: str, trouble: str) -> str:
    """Return what `npm audit --json` found, from moderate up; '' if nothing, or if it could not."""
    try:
        found = json.loads(answer)
        holes = found["vulnerabilities"]
    except (json.JSONDecodeError, KeyError, TypeError):
        return _away("npm audit", trouble or answer or f"exit status {status}")
    return "\n".join(
        f"{name}: {hole['severity']} ({hole.get('range', '')})"
        for name, hole in sorted(holes.items())
        if hole["severity"] not in {"info", "low"}
    )


def _run(
    words: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    try:
        done = subprocess.run(
            words, cwd=cwd, env=env, check=False, capture_output=True, text=True,
            timeout=_TIMEOUT_S,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, "", str(error)
    return done.returncode, done.stdout, done.stderr


def _away(tool: str, why: str) -> str:
    """Say that nothing was checked; this passes."""
    lines = [line for line in why.strip().splitlines() if line.strip()] or ["no answer"]
    told = next((line for line in lines if " audit " in line), lines[-1])
    print(f"[check] ---- {tool}: NOT CHECKED: advisory service away ({told[:160]})")
    sys.stdout.flush()
    return ""
