"""Texts that people and programs send, checked before they are stored and shown."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator


def printable(text: str) -> str:
    """Return `text` if a line of a log, a page or a table can show it.

    Raises:
        ValueError: it holds a line break, a control character or one that turns the text around.
    """
    if not text.isprintable():
        raise ValueError("must not hold line breaks or control characters")
    return text


def normalised(text: str) -> str:
    """Return `text` in Unicode's composed form (NFC), in which equal texts are equal."""
    return unicodedata.normalize("NFC", text)


def cleaned(text: str) -> str:
    """Return `text` with a blank for each character that is not printable."""
    return "".join(char if char.isprintable() else " " for char in text)


def no_longer_than(limit: int) -> AfterValidator:
    """Return a check that comes after `normalised`, which can make a text longer."""

    def check(text: str) -> str:
        if len(text) > limit:
            raise ValueError(f"must be at most {limit} characters long")
        return text

    return AfterValidator(check)


Printable = AfterValidator(printable)
Normalised = AfterValidator(normalised)
Cleaned = Annotated[str, AfterValidator(cleaned)]
