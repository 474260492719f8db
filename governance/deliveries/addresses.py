"""Addresses of people: brought into one form, and shown without giving them away."""

import re
import unicodedata

from core.errors import InvalidInputError

_PHONE = re.compile(r"\+?[0-9]{5,15}")
_MAIL = re.compile(r"[A-Za-z0-9._%+\-]{1,64}@(?:[A-Za-z0-9\-]{1,63}\.)+[A-Za-z]{2,63}")
_BLANKS = re.compile(r"[\s().\-]+")


class ContactAddressError(InvalidInputError):
    """An address that nothing can be sent to (422)."""

    code = "bad-contact-address"


def normalised(channel: str, text: str) -> str:
    """Return the address as it is stored: a number of digits, or a mail address.

    Raises:
        ContactAddressError: it is neither, for this channel.
    """
    plain = unicodedata.normalize("NFKC", text).strip()
    if channel == "email":
        if _MAIL.fullmatch(plain) and len(plain) <= 254:
            return plain
        raise ContactAddressError(
            "This is no e-mail address.", remedy="Enter one such as name@example.org."
        )
    plain = _BLANKS.sub("", plain)
    if _PHONE.fullmatch(plain):
        return plain
    raise ContactAddressError(
        "This is no telephone number.",
        remedy="Enter digits only, with + and the country's code where your provider wants it.",
    )


def masked(channel: str, address: str) -> str:
    """Return enough of an address to tell it from another: `•••1234`, `l•••@example.org`."""
    if channel == "email":
        name, _, host = address.partition("@")
        return f"{name[:1]}•••@{host}"
    return f"•••{address[-4:]}"
