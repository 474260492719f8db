"""Entry of every child process: `python -m app.children <kind> [name] <settings file>`."""

import sys
from pathlib import Path

from app.process import die_with_supervisor, read_settings, run_child


def main(arguments: list[str]) -> int:
    """Run the child that `arguments` name; return its exit status."""
    die_with_supervisor()
    kind, *rest, file = arguments
    settings = read_settings(Path(file))
    name = rest[0] if rest else kind
    match kind:
        case "api":
            from app.api_process import api_child

            return run_child(name, settings, lambda s, p: api_child(s, p, int(rest[1])))
        case "media":
            from app.media_process import media_child

            return run_child(name, settings, lambda s, p: media_child(s, p, name))
        case "inference":
            from app.inference_process import inference_child

            return run_child(name, settings, inference_child)
        case _:
            sys.stderr.write(f"unknown child '{kind}'\n")
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
