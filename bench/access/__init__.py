"""Access: what a decision of the policy costs, the ledger's check, and blurring.

One module a figure; `run` of each returns figures by name.
"""

import importlib
from typing import Any

PARTS = ("decision", "ledger", "redaction", "blurring")


def run(*, long: bool) -> dict[str, Any]:
    """Measure every part, one after another, and return all figures."""
    figures: dict[str, Any] = {}
    for name in PARTS:
        figures |= importlib.import_module(f"bench.access.{name}").run(long=long)
    return figures
