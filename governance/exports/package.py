"""The file that is handed out: pictures, manifest, detached signature, how to check it.

The zip is the same for the same content, byte for byte (stored, no times, names made here), so
that checking makes it again and compares: a flipped byte anywhere is found.
"""

import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from access.ledger.keys import key_id, signed_by
from core.errors import InvalidInputError

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
PUBLIC_KEY = "public-key.pem"
_LARGEST = 4 * 1024**3
_MOST_ENTRIES = 1_000
_EPOCH = (1980, 1, 1, 0, 0, 0)


class BadExportError(InvalidInputError):
    """A file is not the export that was signed."""

    code = "bad-export"


def picture_name(number: int) -> str:
    """Return the name of the picture `number` (from 1) in the zip; never one from outside."""
    return f"pictures/{number:03d}.jpg"


def sha256(content: bytes) -> str:
    """Return the SHA-256 of `content` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def manifest_bytes(about: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    """Return the manifest: what the export is, and the SHA-256 of each of its files."""
    hashes = [{"name": name, "sha256": sha256(content)} for name, content in files.items()]
    return orjson.dumps({**about, "files": hashes}, option=orjson.OPT_INDENT_2)


def public_pem(public: Ed25519PublicKey) -> bytes:
    """Return a public key in PEM."""
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def write_zip(entries: Sequence[tuple[str, bytes]]) -> bytes:
    """Return a zip of `entries`, the same for the same entries."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries:
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = 3
            info.external_attr = 0o600 << 16
            archive.writestr(info, content)
    return out.getvalue()


def check(path: Path, believed: Mapping[str, Ed25519PublicKey]) -> dict[str, Any]:
    """Return the manifest of the export at `path` if all of it is as it was signed.

    Args:
        path: the zip.
        believed: the public keys that count, by id.

    Raises:
        BadExportError: says what is wrong.
        InvalidInputError: the file cannot be read.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise BadExportError("The file is too large to be an export.")
        content = path.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"Cannot read {path}: {error.strerror}.") from error
    entries = _entries(content)
    found = dict(entries)
    if len(found) != len(entries) or MANIFEST not in found or SIGNATURE not in found:
        raise BadExportError("The file is no export: it lacks its manifest or signature.")
    try:
        manifest = orjson.loads(found[MANIFEST])
        name = str(manifest["key_id"])
        listed = {str(file["name"]): str(file["sha256"]) for file in manifest["files"]}
    except (ValueError, KeyError, TypeError) as error:
        raise BadExportError("The manifest cannot be read.") from error
    public = believed.get(name)
    if public is None:
        raise BadExportError(
            f"The export is signed with the key {name}, which is not among those believed here.",
            remedy="Get the public key from the site itself and give it with --public-key.",
        )
    if key_id(public) != name or not signed_by(public, found[SIGNATURE], found[MANIFEST]):
        raise BadExportError("The signature is not that of this manifest.")
    for entry, expected in listed.items():
        if entry not in found:
            raise BadExportError(f"{entry} is missing.")
        if sha256(found[entry]) != expected:
            raise BadExportError(f"{entry} was changed.")
    extra = set(found) - set(listed) - {MANIFEST, SIGNATURE}
    if extra:
        raise BadExportError(f"{min(extra)[:60]!r} does not belong to the export.")
    if write_zip(entries) != content:
        raise BadExportError("The zip around the files was changed.")
    assert isinstance(manifest, dict)
    return manifest


def _entries(content: bytes) -> list[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            infos = archive.infolist()
            total = sum(info.file_size for info in infos)
            # Stored files are not larger than the zip: nothing can swell while it is read.
            if len(infos) > _MOST_ENTRIES or total > len(content):
                raise BadExportError("The file is no export of this product.")
            return [(info.filename, archive.read(info)) for info in infos]
    except (
        zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, EOFError, OSError,
    ) as error:  # fmt: skip
        raise BadExportError("The file is damaged, or no zip.") from error


README = {
    "README.en.txt": """Export {number}

What this is
  {count} picture(s) of incident {incident}, exported for: {purpose} ({reference}).
  Asked for by {requester}, approved by {approver}. Valid until {expires}.
  Every picture names who had it exported. Hand it to nobody who has no right to it, and delete it
  when it is no longer needed. Who downloaded it, and when, is on record.

How to check it
  camera-hub exports verify FILE.zip --public-key KEY.pub
  Get KEY.pub from the site, not from this file. Without Camera Hub:
    openssl pkeyutl -verify -pubin -inkey KEY.pub -rawin -in manifest.json -sigfile manifest.sig
  and then compare the SHA-256 of each file with manifest.json.
""",
    "README.zh.txt": """导出 {number}

这是什么
  事件 {incident} 的 {count} 张图片,用途:{purpose}({reference})。
  申请人:{requester};批准人:{approver}。有效期至 {expires}。
  每张图片上都写明是谁导出的。不得交给无权查看的人;不再需要时请删除。谁在何时下载过,均有记录。

如何核验
  camera-hub exports verify 文件.zip --public-key 公钥.pub
  公钥请向导出单位索取,不要使用本文件内的公钥。没有 Camera Hub 时:
    openssl pkeyutl -verify -pubin -inkey 公钥.pub -rawin -in manifest.json -sigfile manifest.sig
  然后逐一比对各文件的 SHA-256 与 manifest.json 是否一致。
""",
}
"""How to check an export, by the name of its file in the zip."""
