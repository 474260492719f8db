"""The file that is handed out: pictures, manifest, detached signature, how to check it.

The zip is the same for the same content, byte for byte (stored, no times, names made here), so
that checking makes it again and compares: a flipped byte anywhere is found.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from access.ledger.keys import key_id, signed_by
from core.errors import InvalidInputError
from governance.exports import archive
from governance.exports.archive import Member

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
PUBLIC_KEY = "public-key.pem"
_LARGEST_MANIFEST = 64 * 1024**2
_MOST_ENTRIES = 1_000
_Keys = Mapping[str, Ed25519PublicKey]
_Found = archive.Archive | archive.Folder


class BadExportError(InvalidInputError):
    """A file is not the export that was signed."""

    code = "bad-export"


def picture_name(number: int) -> str:
    """Return the name of the picture `number` (from 1) in the zip; never one from outside."""
    return f"pictures/{number:03d}.jpg"


def sha256(content: bytes) -> str:
    """Return the SHA-256 of `content` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def manifest_bytes(about: Mapping[str, Any], hashes: Mapping[str, str]) -> bytes:
    """Return the manifest: what the export is, and the SHA-256 of each of its files by name."""
    files = [{"name": name, "sha256": digest} for name, digest in hashes.items()]
    return orjson.dumps({**about, "files": files}, option=orjson.OPT_INDENT_2)


def hash_of(pieces: Iterable[bytes]) -> str:
    """Return the SHA-256 of a content in pieces, in hexadecimal."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def public_pem(public: Ed25519PublicKey) -> bytes:
    """Return a public key in PEM."""
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def write_zip(entries: Sequence[tuple[str, bytes]]) -> bytes:
    """Return a zip of `entries`, the same for the same entries."""
    out = BytesIO()
    writer = archive.Writer(out)
    for name, content in entries:
        writer.add(Member(name, content))
    writer.finish()
    return out.getvalue()


def check(path: Path, believed: Mapping[str, Ed25519PublicKey]) -> dict[str, Any]:
    """Return the manifest of the export at `path` if all of it is as it was signed.

    Args:
        path: the zip, or a folder with what was in it.
        believed: the public keys that count, by id.

    Raises:
        BadExportError: says what is wrong, with the file and the bytes where it can.
        InvalidInputError: the file cannot be read.
    """
    try:
        if path.is_dir():
            return _check(archive.Folder(path, _MOST_ENTRIES), believed)
        with path.open("rb") as file:
            return _check(archive.Archive(file, _MOST_ENTRIES), believed)
    except archive.BadZipError as error:
        raise BadExportError(str(error)) from error
    except OSError as error:
        raise InvalidInputError(f"Cannot read {path}: {error.strerror}.") from error


def _check(found: _Found, believed: _Keys) -> dict[str, Any]:
    names = set(found.names)
    if MANIFEST not in names or SIGNATURE not in names:
        raise BadExportError("The file is no export: it lacks its manifest or signature.")
    signed, signature = _small(found, MANIFEST), _small(found, SIGNATURE)
    try:
        manifest = orjson.loads(signed)
        name = str(manifest["key_id"])
        listed = {str(file["name"]): str(file["sha256"]) for file in manifest["files"]}
        films = [file for clip in manifest.get("recordings", []) for file in clip["files"]]
        parts = {str(film["name"]): list(film["parts"]) for film in films}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadExportError("The manifest cannot be read.") from error
    public = believed.get(name)
    if public is None:
        raise BadExportError(
            f"The export is signed with the key {name[:64]}, which is not among those believed "
            "here.",
            remedy="Get the public key (.pub) from the site itself and name it with --key.",
        )
    if key_id(public) != name or not signed_by(public, signature, signed):
        raise BadExportError(
            f"The signature is not that of this manifest: {MANIFEST} or {SIGNATURE} was changed."
        )
    try:
        _check_content(found, names, listed, parts, manifest)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise BadExportError(
            "The manifest is signed, and says what this version of Camera Hub does not understand.",
            remedy="Check it with the version that the site has, or a newer one.",
        ) from error
    assert isinstance(manifest, dict)
    return manifest


def _check_content(
    found: _Found,
    names: set[str],
    listed: Mapping[str, str],
    parts: Mapping[str, list[Any]],
    manifest: Mapping[str, Any],
) -> None:
    for entry, expected in listed.items():
        if entry not in names:
            raise BadExportError(f"{entry} is missing.")
        # The parts first: they say where.
        for part in parts.get(entry, []):
            _check_part(found, entry, part)
        if hash_of(found.pieces(entry)) != expected:
            where = ", outside of the pictures" if parts.get(entry) else ""
            raise BadExportError(f"{entry} was changed{where}.")
    extra = names - set(listed) - {MANIFEST, SIGNATURE}
    if extra:
        raise BadExportError(f"{min(extra)[:60]!r} does not belong to the export.")
    for clip in manifest.get("recordings", []):
        _check_media(found, clip)


def _check_part(found: _Found, name: str, part: Mapping[str, Any]) -> None:
    """Check one part of a recording; the manifest that names it is signed."""
    begin, length = int(part["offset"]), int(part["length"])
    if hash_of(found.pieces(name, begin, length)) != part["sha256"]:
        raise BadExportError(
            f"{name} was changed within bytes {begin} to {begin + length - 1}: the part of "
            f"{part['starts_at']}, from segment {part['segment_id']}."
        )


def _check_media(found: _Found, clip: Mapping[str, Any]) -> None:
    """Check that segments which are in a clip as a whole have the media that was recorded."""
    if clip["rendition"] != "raw":
        return
    for segment in clip["segments"]:
        if not segment["whole_in_clip"]:
            continue
        digest = hashlib.sha256()
        for film in clip["files"]:
            for part in film["parts"]:
                if part["segment_id"] == segment["id"]:
                    # What was heard lies behind the pictures of a part.
                    pictures = part.get("pictures", part["length"])
                    for piece in found.pieces(film["name"], part["offset"], pictures):
                        digest.update(piece)
        if digest.hexdigest() != segment["media_sha256"]:
            raise BadExportError(
                f"The media of segment {segment['id']} are not those that were recorded."
            )


def _small(found: _Found, name: str) -> bytes:
    content = b""
    for piece in found.pieces(name):
        content += piece
        if len(content) > _LARGEST_MANIFEST:
            raise BadExportError(f"{name} is too large.")
    return content


README = {
    "README.en.txt": """Export {number}

What this is
  {contents}, exported for: {purpose} ({reference}).
  Asked for by {requester}, approved by {approver}. Valid until {expires}.
  Every picture names who had it exported. Beside each recording lies the time (UTC) of every frame.
  {rendition}
  Hand it to nobody who has no right to it, and delete it when it is no longer needed. Who
  downloaded it, and when, is on record.

How to check it (the zip, or the folder it was unpacked into)
  camera-hub evidence verify FILE.zip --key KEY.pub
  Get KEY.pub from the site, not from this file. Without Camera Hub:
    openssl pkeyutl -verify -pubin -inkey KEY.pub -rawin -in manifest.json -sigfile manifest.sig
  and then compare the SHA-256 of each file with manifest.json.
""",
    "README.zh.txt": """导出 {number}

这是什么
  {contents},用途:{purpose}({reference})。
  申请人:{requester};批准人:{approver}。有效期至 {expires}。
  每张图片上都写明是谁导出的。每段录像旁的 frames.csv 列有每一帧的时间(UTC)。
  {rendition}
  不得交给无权查看的人;不再需要时请删除。谁在何时下载过,均有记录。

如何核验(压缩包,或解压后的文件夹)
  camera-hub evidence verify 文件.zip --key 公钥.pub
  公钥请向导出单位索取,不要使用本文件内的公钥。没有 Camera Hub 时:
    openssl pkeyutl -verify -pubin -inkey 公钥.pub -rawin -in manifest.json -sigfile manifest.sig
  然后逐一比对各文件的 SHA-256 与 manifest.json 是否一致。
""",
}
"""How to check an export, by the name of its file in the zip."""

RENDITIONS = {
    ("README.en.txt", "raw"): "Recordings are as the camera sent them, unless manifest.json says "
    "that masks were painted.",
    ("README.en.txt", "blurred"): "People and vehicles were blurred by a program, and a person "
    "looked at the result. This is no evidence: manifest.json names\n  the SHA-256 of the "
    "recordings it was made from.",
    ("README.zh.txt", "raw"): "录像与摄像机发出的完全一致,除非 manifest.json 写明已涂遮挡。",
    ("README.zh.txt", "blurred"): "其中的人和车辆由程序模糊处理,并经人工查看。"
    "本副本不是证据:manifest.json 列有所依据的原始录像的 SHA-256。",
}
"""What `rendition` is in the page, by its file and the export's rendition."""
