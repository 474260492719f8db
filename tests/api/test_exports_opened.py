"""Exported recordings as others open them: Content Credentials with c2pa's reader, and VLC."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from access.ledger.keys import LedgerKeys, key_id
from core.settings import Settings
from governance.exports.package import check
from tests.api.playbacks_kit import AREA, MASKS, Past, past
from tests.api.test_exports_recordings import built, probe, span
from tests.api.test_playback_sound import SOUND
from tests.api.test_playback_sound import past as sounding
from tests.support.http import SignIn

__all__ = ["past", "sounding"]


async def film(
    past: Past, sign_in: SignIn, settings: Settings, folder: Path, seconds: float = 12
) -> tuple[dict[str, Any], Path]:
    """Export recordings; return the manifest and the unpacked MP4."""
    asker, other = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    content = await built(past.hub, asker, other, span(past.camera_id, 0, seconds))
    (folder / "export.zip").write_bytes(content)
    manifest = check(folder / "export.zip", LedgerKeys(settings.ledger_dir / "keys").public())
    with zipfile.ZipFile(BytesIO(content)) as archive:
        archive.extractall(folder / "out")
    return manifest, folder / "out" / "recordings" / "1.mp4"


@pytest.mark.skipif(find_spec("c2pa") is None, reason="SKIPPED: the extra c2pa is not installed")
@pytest.mark.parametrize("masks", [[], MASKS], ids=["raw", "masked"])
async def test_content_credentials_are_read_by_their_own_reader(
    past: Past, sign_in: SignIn, settings: Settings, tmp_path: Path, masks: list[Any]
) -> None:
    """Valid, signed with the key of the manifest, naming the sources; and broken by one byte."""
    import c2pa

    if masks:
        await past.change(masks=masks)
    manifest, path = await film(past, sign_in, settings, tmp_path)
    (clip,) = manifest["recordings"]
    assert clip["files"][0]["content_credentials"] == "c2pa"
    context = c2pa.Context(c2pa.Settings.from_dict({"verify": {"ocsp_fetch": False}}))

    def read(content: bytes) -> Any:
        with c2pa.Reader("video/mp4", BytesIO(content), context=context) as reader:
            return json.loads(reader.json())

    content = path.read_bytes()
    found = read(content)
    assert found["validation_state"] == "Valid"
    failures = found["validation_results"]["activeManifest"]["failure"]
    # No authority knows this site: that is said, and nothing else is wrong.
    assert {one["code"] for one in failures} == {"signingCredential.untrusted"}
    claim = found["manifests"][found["active_manifest"]]
    assert claim["claim_generator_info"][0]["name"] == "Camera Hub"
    assertions = {one["label"]: one["data"] for one in claim["assertions"]}
    actions = [one["action"] for one in assertions["c2pa.actions.v2"]["actions"]]
    assert actions == ["c2pa.created", "c2pa.edited"] if masks else ["c2pa.created"]
    assert [one["sha256"] for one in assertions["org.camera-hub.sources"]["segments"]] == [
        one["sha256_when_recorded"] for one in clip["segments"]
    ]
    pem = re.search(rb"\x30\x82.{2}\x30\x82", content, re.DOTALL)
    assert pem is not None
    length = int.from_bytes(content[pem.start() + 2 : pem.start() + 4], "big") + 4
    signer = x509.load_der_x509_certificate(content[pem.start() : pem.start() + length])
    public = signer.public_key()
    assert isinstance(public, Ed25519PublicKey)
    assert key_id(public) == manifest["key_id"]
    bent = bytearray(content)
    bent[clip["files"][0]["parts"][3]["offset"] + 100] ^= 1
    assert read(bytes(bent))["validation_state"] == "Invalid"
    # The media are where the manifest says, with their times.
    assert int(probe(path)["streams"][0]["nb_read_frames"]) == 300
    with av.open(str(path), mode="r") as container:
        assert [p.pts for p in container.demux(video=0) if p.size][-1] == 299 * 3600


@pytest.mark.skipif(shutil.which("cvlc") is None, reason="SKIPPED: VLC (vlc-bin) is not installed")
@pytest.mark.parametrize("masks", [[], MASKS], ids=["raw", "masked"])
async def test_vlc_plays_what_was_exported_to_its_end(
    past: Past, sign_in: SignIn, settings: Settings, tmp_path: Path, masks: list[Any]
) -> None:
    if masks:
        await past.change(masks=masks)
    _, path = await film(past, sign_in, settings, tmp_path, 2)
    log = await asyncio.to_thread(played_by_vlc, path)
    assert "found 1 tracks" in log
    assert 'using video decoder module "avcodec"' in log
    assert "Received first picture" in log
    assert "EOF reached" in log
    assert not re.findall(r".* error: .*(?:mp4|decoder).*|.*(?:mp4|avcodec)[^:]*error: .*", log)


@pytest.mark.parametrize("sound", [True, False])
async def test_sound_leaves_with_recordings_where_it_is_asked_for(
    sounding: Past, sign_in: SignIn, settings: Settings, tmp_path: Path, sound: bool
) -> None:
    """Played by ffprobe and, where it is there, by VLC; without asking no byte of it leaves."""
    asker, other = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    wish = span(sounding.camera_id, 0, 6)
    content = await built(sounding.hub, asker, other, wish, sound=sound)
    (tmp_path / "export.zip").write_bytes(content)
    manifest = check(tmp_path / "export.zip", LedgerKeys(settings.ledger_dir / "keys").public())
    (clip,) = manifest["recordings"]
    assert (manifest["sound"], clip["files"][0]["sound"]) == (sound, sound)
    assert clip["segments"][0]["whole_in_clip"]
    with zipfile.ZipFile(BytesIO(content)) as archive:
        archive.extractall(tmp_path / "out")
    path = tmp_path / "out" / "recordings" / "1.mp4"
    kinds = [stream["codec_name"] for stream in probe(path)["streams"]]
    assert kinds == (["h264", "aac"] if sound else ["h264"])
    assert any(data in content for data in SOUND) is sound
    assert [view.sound for view in await sounding.records() if view.kind == "export"] == [sound]
    if sound and shutil.which("cvlc") is not None:
        log = await asyncio.to_thread(played_by_vlc, path)
        assert "found 2 tracks" in log
        assert re.search(r'using audio decoder module "\w+"', log)


def played_by_vlc(path: Path) -> str:
    """Play a file with VLC, showing it nowhere, and return all it says."""
    with tempfile.TemporaryDirectory() as folder:
        # VLC does not run as root.
        Path(folder).chmod(0o755)
        shutil.copy(path, Path(folder) / "film.mp4")
        (Path(folder) / "film.mp4").chmod(0o644)
        done = subprocess.run(
            ["cvlc", "-vv", "--no-color", "--vout", "dummy", "--aout", "dummy",
             "--play-and-exit", "--rate", "8", f"{folder}/film.mp4"],
            capture_output=True, text=True, check=True, timeout=60,
            user="nobody" if os.geteuid() == 0 else None,
            env={"HOME": folder, "PATH": os.environ["PATH"]},
        )  # fmt: skip
    return done.stdout + done.stderr
