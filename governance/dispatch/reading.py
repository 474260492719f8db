"""Reading policies that a person wrote, and saying what is wrong with them, line by line."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic import ValidationError

from core.errors import InvalidInputError
from governance.dispatch.schemas import Match, PolicyFault, PolicyFile, PolicyIn
from governance.dispatch.snapshot import split_target
from governance.incidents.kinds import ALARMS

MAX_TEXT = 100_000
"""Characters of a set. Reading them takes seconds: never on the event loop."""
_DEEPEST = 20
_MOST_FAULTS = 50
_STAFF = frozenset({"duty", "patrol", "supervisor"})
_LONGEST_REPEAT_S = 3600
_SEVERITIES = ("extreme", "severe", "moderate", "minor", "unknown")

Path = tuple[str | int, ...]


class PoliciesError(InvalidInputError):
    """The policies cannot be used (422); `detail["faults"]` lists what is wrong."""

    code = "invalid-policies"

    def __init__(self, faults: list[PolicyFault]) -> None:
        first = faults[0]
        where = f"line {first.line}: " if first.line is not None else ""
        field = f"{first.field}: " if first.field else ""
        more = f" And {len(faults) - 1} more." if len(faults) > 1 else ""
        super().__init__(
            f"The dispatch policies cannot be used: {where}{field}{first.message}.{more}",
            remedy="Correct them and check them again; the ones in force stay until then.",
            detail={"faults": [fault.model_dump() for fault in faults]},
        )
        self.faults = faults


def read_text(text: str) -> PolicyFile:
    """Return the policies in a YAML text (JSON is YAML, too).

    Raises:
        PoliciesError: it is no YAML, or not policies; each fault names its line.
    """
    if len(text) > MAX_TEXT:
        raise _error(None, "", f"the text is longer than {MAX_TEXT} characters")
    try:
        root = _composed(text)
        lines, twice = _lines(root)
        if twice:
            raise PoliciesError(twice[:_MOST_FAULTS])
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        line = _line(getattr(error, "problem_mark", None))
        problem = getattr(error, "problem", None) or "cannot be read"
        raise _error(line, "", f"this is not valid YAML: {problem}") from None
    except (ValueError, RecursionError) as error:  # a date such as 2026-13-45, or worse
        raise _error(None, "", f"a value cannot be read: {error}") from None
    return read_value(value, lines)


def read_value(value: Any, lines: Mapping[Path, int] | None = None) -> PolicyFile:
    """Return the policies in parsed YAML or JSON. `lines` says where each path is written.

    Raises:
        PoliciesError: names each field that is wrong.
    """
    if isinstance(value, list):
        value = {"policies": value}
    if not isinstance(value, dict):
        raise _error(None, "", "expected a list called 'policies'")
    try:
        found = PolicyFile.model_validate(value)
    except ValidationError as error:
        faults = [
            PolicyFault(
                line=_line_of(lines, item["loc"]),
                field=_dotted(value, item["loc"]),
                message=_in_words(item),
            )
            for item in error.errors()[:_MOST_FAULTS]
        ]
        raise PoliciesError(faults) from None
    faults = [
        PolicyFault(
            line=_line_of(lines, ("policies", at, *path)),
            field=_dotted(value, ("policies", at, *path)),
            message=message,
        )
        for at, path, message in _unsafe(found)
    ]
    if faults:
        raise PoliciesError(faults)
    return found


def _unsafe(found: PolicyFile) -> Iterator[tuple[int, Path, str]]:
    """Yield what no single policy shows: (policy, path in it, message).

    Names given twice, and what would leave somebody waiting who must not.
    """
    names: set[str] = set()
    for at, policy in enumerate(found.policies):
        if policy.id in names:
            yield at, ("id",), f"two policies are called '{policy.id}'"
        names.add(policy.id)
    last = len(found.policies) - 1
    if not unconditional(found.policies[last].match):
        yield (
            last,
            ("match",),
            "the last policy has no conditions, so that nothing is left that nobody is told of",
        )
    seen: set[int] = set()
    for kind in ALARMS:
        for severity in _SEVERITIES:
            for at in _first_possible(found, kind, severity):
                if at not in seen:
                    seen.add(at)
                    yield from ((at, path, text) for path, text in _slow(found.policies[at], kind))


def _first_possible(found: PolicyFile, kind: str, severity: str) -> Iterator[int]:
    """Yield the policies that an actual alarm may come under, wherever and whenever it is."""
    for at, policy in enumerate(found.policies):
        match = policy.match
        if match.kinds and kind not in match.kinds:
            continue
        if match.severities and severity not in match.severities:
            continue
        if match.statuses and "actual" not in match.statuses:
            continue
        yield at
        if not match.areas and not match.times:
            return


def _slow(policy: PolicyIn, kind: str) -> Iterator[tuple[Path, str]]:
    why = f"'{kind}' may come under this policy, and it is about lives"
    if policy.steps[0].after_s > 0:
        yield ("steps", 0, "after_s"), f"{why}: its first step is at 0 s"
    # Contacts may be none, and who is assigned is nobody yet.
    if not any(split_target(word)[0] in _STAFF for word in policy.steps[0].targets):
        yield (
            ("steps", 0, "targets"),
            f"{why}: its first step tells {', '.join(sorted(_STAFF))} or several of them",
        )
    if policy.repeat_s > _LONGEST_REPEAT_S:
        yield ("repeat_s",), f"{why}: it rings again within {_LONGEST_REPEAT_S} s"
    if policy.triage == "required":
        yield ("triage",), f"{why}: it skips triage"


def unconditional(match: Match) -> bool:
    """Say whether everything fits."""
    return not (match.kinds or match.severities or match.statuses or match.areas or match.times)


def _composed(text: str) -> yaml.Node | None:
    """Return the nodes of the text; refuses what would grow (aliases) or nest without end."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise _error(
                _line(event.start_mark), "", "anchors and aliases (& and *) are not used here"
            )
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise _error(_line(event.start_mark), "", "nested too deeply")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    return node


def _line(mark: Any) -> int | None:
    """Return the line of a mark of the YAML reader, counted from 1."""
    return None if mark is None else mark.line + 1


def _lines(root: yaml.Node | None) -> tuple[dict[Path, int], list[PolicyFault]]:
    """Return the line of each path, counted from 1, and the keys that are written twice."""
    lines: dict[Path, int] = {}
    twice: list[PolicyFault] = []

    def walk(node: yaml.Node, path: Path) -> None:
        lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.SequenceNode):
            for at, item in enumerate(node.value):
                walk(item, (*path, at))
        elif isinstance(node, yaml.MappingNode):
            for key, item in node.value:
                inner = (*path, str(key.value))
                if inner in lines:
                    field = ".".join(map(str, inner))
                    twice.append(
                        PolicyFault(
                            line=key.start_mark.line + 1, field=field, message="written twice"
                        )
                    )
                lines[inner] = key.start_mark.line + 1
                walk(item, inner)

    if root is not None:
        walk(root, ())
    return lines, twice


def _line_of(lines: Mapping[Path, int] | None, where: Path) -> int | None:
    """Return the line of what is nearest to `where`: a field that is missing has none."""
    if lines is None:
        return None
    for length in range(len(where), -1, -1):
        if where[:length] in lines:
            return lines[where[:length]]
    return None


def _dotted(value: Any, where: Path) -> str:
    """Return a path in words of the file: policies.alarms.steps.2.after_s."""
    if len(where) > 1 and where[0] == "policies" and isinstance(where[1], int):
        policies = value.get("policies")
        found = policies[where[1]] if isinstance(policies, list) else None
        name = found.get("id") if isinstance(found, dict) else None
        where = ("policies", name if isinstance(name, str) else where[1], *where[2:])
    return ".".join(map(str, where))


def _in_words(item: Any) -> str:
    if item["type"] == "extra_forbidden":
        return "there is no such field"
    text: str = item["msg"]
    return text.removeprefix("Value error, ")


def _error(line: int | None, field: str, message: str) -> PoliciesError:
    return PoliciesError([PolicyFault(line=line, field=field, message=message)])
