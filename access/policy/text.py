"""The policies one by one: where each is written, what it is called, when it counts."""

from dataclasses import dataclass

import cedarpy
import orjson


@dataclass(frozen=True, slots=True)
class PolicyText:
    """One policy as it is written.

    Attributes:
        id: its `@id`, or `file:line` if it has none.
        file, line: where it begins; lines count from 1.
        text: from its first annotation to its semicolon.
        effect: "permit" or "forbid".
        actions: the actions that it names; None if it is about every action.
    """

    id: str
    file: str
    line: int
    text: str
    effect: str
    actions: frozenset[str] | None

    def about(self, action: str) -> bool:
        """Say whether the policy can decide about `action` at all."""
        return self.actions is None or action in self.actions


def policies_in(text: str, file: str) -> list[PolicyText]:
    """Return the policies of a text that is valid Cedar, in the order in which they are written.

    Raises:
        ValueError: it holds a template; nothing here fills one in.
    """
    return [_described(statement, file, line) for line, statement in _statements(text)]


def _described(statement: str, file: str, line: int) -> PolicyText:
    parsed = orjson.loads(cedarpy.policies_to_json_str(statement))
    if parsed["templates"]:
        raise ValueError(f"line {line}: a template (?principal, ?resource) is never filled in")
    (found,) = parsed["staticPolicies"].values()
    constraint = found["action"]
    named = constraint.get("entities") or [constraint[k] for k in ("entity",) if k in constraint]
    return PolicyText(
        id=found.get("annotations", {}).get("id") or f"{file}:{line}",
        file=file,
        line=line,
        text=statement,
        effect=found["effect"],
        actions=None if constraint["op"] == "All" else frozenset(uid["id"] for uid in named),
    )


def _statements(text: str) -> list[tuple[int, str]]:
    """Return (line, text) of what ends with a semicolon outside of strings and comments."""
    found: list[tuple[int, str]] = []
    start: int | None = None
    at, inside = 0, ""
    while at < len(text):
        char = text[at]
        if inside == "comment":
            inside = "" if char == "\n" else inside
        elif inside == "string":
            if char == "\\":
                at += 1
            elif char == '"':
                inside = ""
        elif text.startswith("//", at):
            inside = "comment"
        elif not char.isspace():
            start = at if start is None else start
            if char == '"':
                inside = "string"
            elif char == ";":
                found.append((text.count("\n", 0, start) + 1, text[start : at + 1]))
                start = None
        at += 1
    return found
