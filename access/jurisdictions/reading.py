"""Reads a jurisdiction's file and lays it over the rules that hold everywhere."""

import difflib
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from access.jurisdictions.schemas import (
    JurisdictionFile,
    Place,
    Retention,
    Retrieval,
    Rule,
    SealLimit,
    Source,
    Text,
)
from core.errors import HubError
from core.yaml_text import read_yaml

DATA = Path(__file__).with_name("data")
BASE = "none"
_NAME = re.compile(r"[a-z0-9_-]{1,40}")
_MODELS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("rules.*.source", Source),
    *((f"rules.*.{name}", Text) for name in ("text", "quote", "remedy")),
    ("rules.*", Rule),
    ("places.*.title", Text),
    ("places.*.retention", Retention),
    ("places.*", Place),
    ("source", Source),
    ("title", Text),
    ("note", Text),
    ("retrieval", Retrieval),
    ("seal", SealLimit),
    ("", JurisdictionFile),
)


_LANGUAGES = tuple(field.alias or name for name, field in Text.model_fields.items())


class JurisdictionError(HubError):
    """A jurisdiction's file is missing, is not YAML, or says what it may not."""

    code = "jurisdiction"


@dataclass(frozen=True)
class ReadFile:
    """A file as read: where it lies, the SHA-256 of its bytes, and what it says."""

    path: Path
    digest: str
    content: JurisdictionFile


def known_names(folder: Path | None = None) -> list[str]:
    """Return the jurisdictions that came with the hub and those in `folder`."""
    folders = [DATA] + ([folder] if folder is not None and folder.is_dir() else [])
    return sorted({path.stem for where in folders for path in where.glob("*.yaml")})


def read_file(name: str, folder: Path | None = None) -> ReadFile:
    """Read the jurisdiction `name`: a centre's own in `folder`, else the hub's.

    Raises:
        JurisdictionError: there is none, or it is not as it must be; names file and place.
    """
    path = _find(name, folder)
    try:
        raw = path.read_bytes()
        values = read_yaml(raw.decode("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise _bad(path, f"cannot be read: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise _bad(path, f"is not valid YAML{line}") from None
    if not isinstance(values, dict):
        raise _bad(path, "must hold a mapping")
    try:
        content = JurisdictionFile.model_validate(values)
    except ValidationError as error:
        raise _bad(path, "; ".join(_explain(item) for item in error.errors())) from None
    return ReadFile(path, hashlib.sha256(raw).hexdigest(), content)


def _find(name: str, folder: Path | None) -> Path:
    # The own `none` would take away the floor that every other file stands on.
    own = folder is not None and name != BASE and _NAME.fullmatch(name)
    if folder is not None and own and (folder / f"{name}.yaml").is_file():
        return folder / f"{name}.yaml"
    path = DATA / f"{name}.yaml"
    if _NAME.fullmatch(name) and path.is_file():
        return path
    known = known_names(folder)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}."
    raise JurisdictionError(
        f"There is no jurisdiction '{name}'; {hint}",
        remedy="Set site.jurisdiction, or put a file of that name into `jurisdictions` in the "
        "data directory.",
    )


def _bad(path: Path, what: str) -> JurisdictionError:
    return JurisdictionError(
        f"The jurisdiction file {path} {what}.",
        remedy="Mend the file (docs/design/jurisdictions.md says what it may hold) and restart.",
    )


def _explain(item: Any) -> str:
    place = [str(part) for part in item["loc"]]
    name = ".".join(place)
    if item["type"] == "extra_forbidden":
        known = _known_keys(place[:-1])
        near = difflib.get_close_matches(place[-1], known, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known)}"
        return f"has an unknown key '{name}'; {hint}"
    if item["type"] == "missing" and place[-1] in _LANGUAGES:
        return f"lacks '{name}': each text stands there in {' and '.join(_LANGUAGES)}"
    return f"says at '{name}': {str(item['msg']).removeprefix('Value error, ')}"


def _known_keys(place: list[str]) -> list[str]:
    wild = ["*" if n == 1 and place[0] in {"rules", "places"} else p for n, p in enumerate(place)]
    for pattern, model in _MODELS:
        if ".".join(wild) == pattern:
            return [field.alias or name for name, field in model.model_fields.items()]
    return []


def check_over(base: JurisdictionFile, over: ReadFile) -> None:
    """Refuse a file that names rules or places that do not exist, or takes from what always holds.

    Raises:
        JurisdictionError: names the place and the rule.
    """
    content = over.content
    rules = base.rules.keys() | content.rules.keys()
    doubled = base.rules.keys() & content.rules.keys() if content is not base else set()
    if doubled:
        raise _bad(over.path, f"writes the hub's own rule {min(doubled)} anew")
    for where, rule in _named_rules(content):
        if rule and rule not in rules:
            near = difflib.get_close_matches(rule, rules, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise _bad(
                over.path, f"names at {where} the rule '{rule}', which it does not have{hint}"
            )
    for key, place in content.places.items():
        below = base.places.get(key)
        if below is None:
            if place.title is None or not (place.kinds or place.forbidden):
                raise _bad(over.path, f"has a new place '{key}' without title and kinds")
        elif below.forbidden and (place.kinds or place.retention is not None):
            raise _bad(
                over.path,
                f"allows the place '{key}', which rule {below.forbidden} forbids everywhere",
            )
        elif below.kinds and set(place.kinds) - set(below.kinds):
            raise _bad(over.path, f"allows the place '{key}' as a kind that it is not (rule HUB-2)")


def _named_rules(content: JurisdictionFile) -> list[tuple[str, str]]:
    named = [("place_needed", content.place_needed), ("sound", content.sound)]
    if content.retrieval is not None:
        named.append(("retrieval.rule", content.retrieval.rule))
    if content.seal is not None:
        named.append(("seal.rule", content.seal.rule))
    for key, place in content.places.items():
        named += [
            (f"places.{key}.{field}", getattr(place, field))
            for field in ("forbidden", "signage", "told", "kinds_rule")
        ]
        if place.retention is not None:
            named.append((f"places.{key}.retention.rule", place.retention.rule))
    return named
