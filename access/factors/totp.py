"""Codes of authenticator apps: TOTP as in RFC 6238, with SHA-1, six digits and 30 s steps.

These are the values that every app understands. Nothing is stored here.
"""

import hmac
import io
from datetime import datetime

import pyotp

STEP_S = 30
DIGITS = 6
SKEW_STEPS = 1
"""A phone's clock may be one step ahead or behind."""


def new_secret() -> str:
    """Return a new secret: 160 random bits in base 32."""
    return pyotp.random_base32(32)


def uri(secret: str, *, username: str, site: str) -> str:
    """Return the `otpauth://` address that an app reads from the picture."""
    return pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=site)


def qr_svg(text: str) -> str:
    """Return `text` as a QR code: an SVG element, black on white, without XML declaration."""
    import segno

    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        out, kind="svg", xmldecl=False, svgns=True, scale=1, border=4, light="#fff", omitsize=True
    )
    return out.getvalue().decode().strip()


def matching_step(secret: str, code: str, now: datetime) -> int | None:
    """Return the number of the step whose code is `code`, within the allowed skew, or None.

    All steps are compared whatever the first says, in constant time each.
    """
    digits = "".join(code.split())
    if len(digits) != DIGITS or not (digits.isascii() and digits.isdigit()):
        return None
    generator = pyotp.HOTP(secret)
    current = int(now.timestamp()) // STEP_S
    found = None
    for step in range(current - SKEW_STEPS, current + SKEW_STEPS + 1):
        if hmac.compare_digest(generator.at(step), digits):
            found = step
    return found
