"""Names of accounts, and the language they are spoken to in."""

import re
import unicodedata

from core.errors import InvalidInputError

LOCALES = ("zh-CN", "en")
_USERNAME = re.compile(r"[^\W_][\w.@-]{1,62}[^\W_]")


def normalise_username(text: str) -> str:
    """Return `text` as it is stored and compared: NFKC, no blanks around, case folded.

    Raises:
        InvalidInputError: not 3 to 64 letters, digits or `. _ @ -`.
    """
    username = unicodedata.normalize("NFKC", text).strip().casefold()
    if not _USERNAME.fullmatch(username):
        raise InvalidInputError(
            "The username cannot be used.",
            remedy="Use 3 to 64 letters, digits or . _ @ - and begin and end with "
            "a letter or digit.",
            code="invalid-username",
        )
    return username


def check_display_name(text: str) -> str:
    """Return `text` with single blanks.

    Raises:
        InvalidInputError: code `invalid-display-name`.
    """
    name = " ".join(text.split())
    if not 1 <= len(name) <= 80 or not name.isprintable():
        raise InvalidInputError(
            "The name to show cannot be used.",
            remedy="Use 1 to 80 printable characters.",
            code="invalid-display-name",
        )
    return name


def check_locale(text: str) -> str:
    """Return `text` if it is a language of the console.

    Raises:
        InvalidInputError: code `invalid-locale`.
    """
    if text not in LOCALES:
        raise InvalidInputError(
            f"There is no language '{text[:20]}'.",
            remedy=f"Choose one of {', '.join(LOCALES)}.",
            code="invalid-locale",
        )
    return text
