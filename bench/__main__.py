"""`make bench [ONLY=name] [ARGS=--long]`: runs benchmark modules, prints one JSON object last."""

import argparse
import importlib
import json
import pkgutil
import sys
from pathlib import Path


def subjects() -> list[str]:
    """Return the names of the benchmark modules."""
    folder = Path(__file__).parent
    return sorted(
        m.name for m in pkgutil.iter_modules([str(folder)]) if not m.name.startswith(("_", "lib"))
    )


def main() -> int:
    """Run the chosen subjects; figures by name, of several subjects under each one's name."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=subjects(), help="one subject")
    parser.add_argument("--long", action="store_true", help="the full run")
    options = parser.parse_args()
    chosen = [options.only] if options.only else subjects()
    figures = {}
    for name in chosen:
        print(f"== {name}", file=sys.stderr)
        figures[name] = importlib.import_module(f"bench.{name}").run(long=options.long)
    print(json.dumps(figures[chosen[0]] if len(chosen) == 1 else figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
