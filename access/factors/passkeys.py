"""Passkeys: what is asked of a browser (WebAuthn level 2) and whether its answer is true.

Nothing is stored here. The origin of an answer is compared with this site's own, so that a page
that imitates the console gets a signature that is worth nothing.
"""

import base64
import binascii
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from access.factors.models import Passkey
from core.errors import ConflictError, UnauthenticatedError

if TYPE_CHECKING:
    # Imported when somebody first uses a passkey: commands that name accounts never do.
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

TIMEOUT_MS = 300_000

_MALFORMED = (ValueError, LookupError, TypeError, AttributeError, struct.error)
"""What a made-up answer makes the library's parsers raise, beside errors of its own."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """This site as passkeys know it: the host name, the origin of its pages, its name to show."""

    id: str
    origin: str
    name: str


class PasskeyRefusedError(UnauthenticatedError):
    """The browser's answer does not prove what it should (401)."""

    code = "passkey-refused"


def registration_options(
    party: RelyingParty,
    *,
    account_id: UUID,
    username: str,
    display_name: str,
    nonce: bytes,
    known: Sequence[Passkey],
) -> Json:
    """Return what `navigator.credentials.create` is called with, in JSON."""
    import webauthn
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    options = webauthn.generate_registration_options(
        rp_id=party.id,
        rp_name=party.name,
        user_id=account_id.bytes,
        user_name=username,
        user_display_name=display_name,
        challenge=nonce,
        timeout=TIMEOUT_MS,
        exclude_credentials=_descriptors(known),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.PREFERRED,
        ),
    )
    return _as_json(options)


def sign_in_options(
    party: RelyingParty, *, nonce: bytes, known: Sequence[Passkey], alone: bool
) -> Json:
    """Return what `navigator.credentials.get` is called with, in JSON.

    `alone`: the passkey stands for the password too, so the device must ask for PIN or finger.
    """
    import webauthn
    from webauthn.helpers.structs import UserVerificationRequirement

    verification = UserVerificationRequirement.PREFERRED
    if alone:
        verification = UserVerificationRequirement.REQUIRED
    options = webauthn.generate_authentication_options(
        rp_id=party.id,
        challenge=nonce,
        timeout=TIMEOUT_MS,
        allow_credentials=_descriptors(known),
        user_verification=verification,
    )
    return _as_json(options)


@dataclass(frozen=True, slots=True)
class NewCredential:
    """A credential that was just made."""

    credential_id: str
    public_key: str
    sign_count: int
    transports: list[str]


def check_registration(party: RelyingParty, credential: Json, nonce: bytes) -> NewCredential:
    """Return the credential that `credential` (a browser's answer) proves to exist.

    Raises:
        PasskeyRefusedError: malformed, of another origin or site, or for another challenge.
    """
    import webauthn
    from webauthn.helpers import bytes_to_base64url
    from webauthn.helpers.exceptions import WebAuthnException
    from webauthn.helpers.structs import AuthenticatorTransport

    try:
        found = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=nonce,
            expected_rp_id=party.id,
            expected_origin=party.origin,
        )
    except (WebAuthnException, *_MALFORMED) as error:
        raise _refused(error) from error
    response = credential.get("response")
    claimed = response.get("transports") if isinstance(response, Mapping) else None
    offered = claimed if isinstance(claimed, list) else []
    transports = frozenset(item.value for item in AuthenticatorTransport)
    return NewCredential(
        credential_id=bytes_to_base64url(found.credential_id),
        public_key=base64.b64encode(found.credential_public_key).decode(),
        sign_count=found.sign_count,
        transports=sorted({t for t in offered if isinstance(t, str) and t in transports}),
    )


def check_sign_in(
    party: RelyingParty, passkey: Passkey, credential: Json, nonce: bytes, *, alone: bool
) -> int:
    """Return the passkey's new count of signatures if `credential` is a true answer by it.

    Raises:
        PasskeyRefusedError: not by this passkey, of another origin or site, for another
            challenge, without the PIN or finger that was asked for, or by a copy of the device.
    """
    import webauthn
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        found = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=nonce,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=base64.b64decode(passkey.public_key),
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=alone,
        )
    except (WebAuthnException, *_MALFORMED) as error:
        raise _refused(error) from error
    return found.new_sign_count


def credential_id_of(credential: Json) -> str:
    """Return the id in a browser's answer as it is stored, or "" if there is none."""
    from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

    raw = credential.get("rawId") or credential.get("id")
    if not isinstance(raw, str) or len(raw) > 1400:
        return ""
    try:
        return bytes_to_base64url(base64url_to_bytes(raw))
    except (binascii.Error, ValueError):
        return ""


def user_handle_of(credential: Json) -> bytes | None:
    """Return the account's id in a browser's answer, if the device told one."""
    from webauthn.helpers import base64url_to_bytes

    response = credential.get("response")
    handle = response.get("userHandle") if isinstance(response, Mapping) else None
    if not isinstance(handle, str) or not handle:
        return None
    try:
        return base64url_to_bytes(handle)
    except (binascii.Error, ValueError):
        return b""


def unavailable(why: str, todo: str) -> ConflictError:
    """Return the error of a site where browsers would refuse passkeys."""
    return ConflictError(why, remedy=todo, code="passkeys-unavailable")


def _refused(error: Exception) -> PasskeyRefusedError:
    return PasskeyRefusedError(
        "The passkey was not accepted.",
        remedy="Try again, with a passkey of this account and at this site's own address.",
        detail={"reason": str(error)[:200]},
    )


def _descriptors(passkeys: Sequence[Passkey]) -> "list[PublicKeyCredentialDescriptor]":
    from webauthn.helpers import base64url_to_bytes
    from webauthn.helpers.structs import AuthenticatorTransport, PublicKeyCredentialDescriptor

    return [
        PublicKeyCredentialDescriptor(
            id=base64url_to_bytes(item.credential_id),
            transports=[AuthenticatorTransport(name) for name in item.transports] or None,
        )
        for item in passkeys
    ]


def _as_json(options: Any) -> Json:
    import webauthn

    found = orjson.loads(webauthn.options_to_json(options))
    assert isinstance(found, dict)
    return found
