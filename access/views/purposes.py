"""What pictures may be looked at for, and what each purpose has to refer to."""

from dataclasses import dataclass
from typing import Literal

from core.errors import InvalidInputError

SHORTEST, LONGEST = 3, 80
"""Characters of a reference that is a text."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """A purpose; its reference is the number of an incident, or a text such as a case number."""

    key: str
    needs_reference: bool
    reference: Literal["incident", "text"]


PURPOSES: tuple[Purpose, ...] = (
    Purpose("incident", needs_reference=True, reference="incident"),
    Purpose("case", needs_reference=True, reference="text"),
    Purpose("maintenance", needs_reference=True, reference="text"),
    Purpose("subject_access", needs_reference=True, reference="text"),
    Purpose("exercise", needs_reference=True, reference="text"),
)
_BY_KEY = {purpose.key: purpose for purpose in PURPOSES}


def find_purpose(key: str, reference: str) -> tuple[Purpose, str]:
    """Return the purpose called `key` and its reference without blanks around.

    Whether an incident with that number exists, and may be read, is for the caller.

    Raises:
        InvalidInputError: `unknown-purpose`, `reference-needed` or `unknown-reference`.
    """
    purpose = _BY_KEY.get(key)
    if purpose is None:
        raise InvalidInputError(
            f"There is no purpose '{key[:40]}'.",
            remedy=f"Use one of {', '.join(_BY_KEY)}.",
            code="unknown-purpose",
        )
    text = " ".join(reference.split()) if reference.isprintable() else ""
    if not text:
        raise InvalidInputError(
            f"The purpose '{key}' has to refer to something.",
            remedy="Give the number of the incident."
            if purpose.reference == "incident"
            else "Name the case, the order or the request.",
            code="reference-needed",
        )
    if purpose.reference == "text" and not SHORTEST <= len(text) <= LONGEST:
        raise InvalidInputError(
            f"The reference has {len(text)} characters.",
            remedy=f"Use {SHORTEST} to {LONGEST} printable characters.",
            code="unknown-reference",
        )
    return purpose, text
