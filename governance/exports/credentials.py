"""Content Credentials (C2PA) in the MP4s of an export, where the extra `c2pa` is installed.

The claim is signed with the site's evidence key, the one that signs the manifest: the certificate
of the signer holds that key, and whoever has the site's public key can compare. Above it stands a
certificate made for the occasion, since C2PA takes no signer that vouches for itself; no authority
knows either, so a viewer says "unknown source" until it is told to trust this site.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from core.errors import HubError

SOURCES = "org.camera-hub.sources"
"""Label of the assertion that names the recordings a file was made of."""

_VALID = timedelta(days=3650)
_CAPTURE = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
_BLURRED = {
    "action": "c2pa.edited",
    "parameters": {"description": "People and vehicles were blurred; sound was left out."},
}
_MASKED = {"action": "c2pa.edited", "parameters": {"description": "Privacy masks were painted."}}
_EDITS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "raw": (),
    "masked": (_MASKED,),
    "blurred": (_BLURRED,),
}
_SETTINGS = {
    "verify": {"verify_after_sign": False, "remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}


class CredentialsError(HubError):
    """Content Credentials could not be written into a file."""

    code = "no-credentials"


def installed() -> bool:
    """Say whether the extra `c2pa` is there."""
    return find_spec("c2pa") is not None


class Credentials:
    """Writes Content Credentials into files; made for one export."""

    def __init__(
        self, public: Ed25519PublicKey, sign: Callable[[bytes], bytes], now: datetime, version: str
    ) -> None:
        """Make what signs.

        Args:
            public: the site's evidence key.
            sign: signs with it.
            now: the certificates hold from a day before, for ten years.
            version: of Camera Hub.
        """
        self._sign = sign
        self._chain = _chain(public, now)
        self._version = version

    def embed(self, path: Path, rendition: str, segments: Sequence[Mapping[str, Any]]) -> int:
        """Write credentials into the MP4 at `path`; return by how many bytes its media moved.

        Raises:
            CredentialsError: the library refuses the file.
            OSError: the disk does.
        """
        import c2pa

        signed = path.with_suffix(".signed")
        claim = {
            "claim_generator_info": [{"name": "Camera Hub", "version": self._version}],
            "title": path.name,
            "format": "video/mp4",
            "assertions": [
                {"label": "c2pa.actions.v2", "data": {"actions": _actions(rendition)}},
                {"label": SOURCES, "data": {"segments": [_source(one) for one in segments]}},
            ],
        }
        before = path.stat().st_size
        try:
            context = c2pa.Context(c2pa.Settings.from_dict(_SETTINGS))
            signer = c2pa.Signer.from_callback(
                self._sign, c2pa.C2paSigningAlg.ED25519, self._chain, None
            )
            with (
                c2pa.Builder(json.dumps(claim), context) as builder,
                path.open("rb") as source,
                signed.open("w+b") as out,
            ):
                builder.sign(signer, "video/mp4", source, out)
            signed.replace(path)
        except c2pa.C2paError as error:
            raise CredentialsError(
                "Content Credentials could not be written into the recordings.",
                remedy="Take out the extra c2pa, or update it.",
            ) from error
        finally:
            signed.unlink(missing_ok=True)
        return path.stat().st_size - before


def _actions(rendition: str) -> list[Mapping[str, Any]]:
    created = {"action": "c2pa.created", "digitalSourceType": _CAPTURE}
    return [created, *_EDITS[rendition]]


def _source(segment: Mapping[str, Any]) -> dict[str, Any]:
    """Return what names a source: its place in time, and its hash."""
    return {
        "id": segment["id"],
        "started_at": segment["started_at"],
        "ends_at": segment["ends_at"],
        "sha256": segment["sha256_now"],
    }


def _chain(public: Ed25519PublicKey, now: datetime) -> str:
    """Return the certificate of `public` and that of who vouches for it, in PEM."""
    above = Ed25519PrivateKey.generate()
    top, own = _name("evidence keys of this site"), _name("evidence key")
    vouching = (
        _certificate(top, top, above.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key())
    signing = (
        _certificate(own, top, public, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
        )
        .add_extension(authority, critical=False)
    )
    made = (one.sign(above, None).public_bytes(Encoding.PEM) for one in (signing, vouching))
    return b"".join(made).decode()


def _name(common: str) -> x509.Name:
    pairs = ((NameOID.ORGANIZATION_NAME, "Camera Hub"), (NameOID.COMMON_NAME, common))
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in pairs])


def _certificate(
    subject: x509.Name, issuer: x509.Name, public: Ed25519PublicKey, now: datetime
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=public,
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(days=1),
        not_valid_after=now + _VALID,
    ).add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
