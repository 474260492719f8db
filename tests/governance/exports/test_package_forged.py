"""What was handed out is good or not, and is said to be so in words: never a traceback."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from access.ledger.keys import key_id
from governance.exports.package import BadExportError, check, manifest_bytes, write_zip
from tests.support.examples import examples

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = {key_id(KEY.public_key()): KEY.public_key()}
FILM = bytes(range(256)) * 4
CONTENT = {"1.mp4": FILM, "pictures/001.jpg": b"picture", "README.en.txt": b"read me"}


def about() -> dict[str, Any]:
    part = {
        "segment_id": "one",
        "starts_at": "2026-03-01T10:00:00Z",
        "offset": 100,
        "length": 500,
        "sha256": sha256(FILM[100:600]).hexdigest(),
    }
    segment = {
        "id": "one",
        "whole_in_clip": True,
        "media_sha256": sha256(FILM[100:600]).hexdigest(),
    }
    clip = {
        "rendition": "raw",
        "files": [{"name": "1.mp4", "parts": [part]}],
        "segments": [segment],
    }
    return {"key_id": next(iter(PUBLIC)), "recordings": [clip]}


def export(what: dict[str, Any]) -> bytes:
    hashes = {name: sha256(content).hexdigest() for name, content in CONTENT.items()}
    manifest = manifest_bytes(what, hashes)
    signed = [("manifest.json", manifest), ("manifest.sig", KEY.sign(manifest))]
    return write_zip([*CONTENT.items(), *signed])


GOOD = export(about())


@settings(max_examples=examples(60))
@given(
    at=st.integers(0, len(GOOD) - 1),
    put=st.binary(max_size=6),
    gone=st.integers(0, 6),
)
def test_only_what_was_signed_is_good(
    tmp_path_factory: pytest.TempPathFactory, at: int, put: bytes, gone: int
) -> None:
    path = tmp_path_factory.mktemp("one") / "export.zip"
    changed = GOOD[:at] + put + GOOD[at + gone :]
    path.write_bytes(changed)
    if changed == GOOD:
        assert check(path, PUBLIC)["key_id"] in PUBLIC
        return
    with pytest.raises(BadExportError):
        check(path, PUBLIC)


@pytest.mark.parametrize(
    "change",
    [
        lambda what: what["recordings"][0].pop("segments"),
        lambda what: what["recordings"][0].pop("rendition"),
        lambda what: what["recordings"][0]["segments"][0].pop("media_sha256"),
        lambda what: what["recordings"][0]["segments"].append(1),
        lambda what: what["recordings"][0]["files"][0].update(name={}),
        lambda what: what["recordings"][0]["files"][0].update(name="other.mp4"),
        lambda what: what["recordings"][0]["files"][0]["parts"].append({}),
        lambda what: what["recordings"][0]["files"][0]["parts"][0].update(offset="x"),
        lambda what: what["recordings"][0]["files"][0]["parts"][0].update(offset=2**63),
        lambda what: what["recordings"][0]["files"][0]["parts"][0].update(offset=-1),
    ],
)
def test_what_is_signed_and_not_understood_is_not_good(
    tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    what = about()
    change(what)
    path = tmp_path / "export.zip"
    path.write_bytes(export(what))
    with pytest.raises(BadExportError):
        check(path, PUBLIC)
