"""The file of an export: what is in it, and that a flipped byte is found."""

import asyncio
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from uuid import UUID

import pytest
from PIL import Image
from sqlalchemy import update

from access.ledger.keys import LedgerKeys
from api.hub import Hub
from governance.attachments.models import Attachment
from governance.exports.package import BadExportError, check, write_zip
from governance.exports.watermark import drawable, shown_name, stamp
from tests.api.exports_kit import (
    incident_id,
    make_incident,
    ready,
)
from tests.governance.support import AREA
from tests.support.http import SignIn

__all__ = ["incident_id"]


async def test_no_name_from_outside_becomes_a_path(
    hub: Hub, sign_in: SignIn, tmp_path: Path
) -> None:
    """Attachment names and ids with paths in them end up nowhere but in the manifest's text."""
    incident = await make_incident(hub)
    async with hub.database.transaction() as session:  # as if the API had let it pass
        await session.execute(update(Attachment).values(name="../../../../etc/cron.d/evil\r\nX"))
    operator, supervisor = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    export = await ready(hub, operator, supervisor, incident)
    content = hub.exports.path(UUID(export["id"])).read_bytes()
    with zipfile.ZipFile(BytesIO(content)) as archive:
        names = archive.namelist()
    pictures = [name for name in names if name.startswith("pictures/")]
    assert pictures == [f"pictures/{n:03d}.jpg" for n in range(1, export["pictures"] + 1)]
    assert set(names) - set(pictures) == {
        "manifest.json", "manifest.sig", "public-key.pem", "README.en.txt", "README.zh.txt",
    }  # fmt: skip
    (tmp_path / "secret.zip").write_bytes(b"secret")
    for path in ("..%2F..%2Fsecret", "%2e%2e%2fsecret.zip", f"{export['id']}%00"):
        got = await operator.get(f"/api/v1/exports/{path}/file")
        assert got.status_code in {404, 422}, got.text
        assert b"secret" not in got.content or got.headers["content-type"] != "application/zip"


async def test_one_flipped_byte_is_found(
    hub: Hub, sign_in: SignIn, incident_id: UUID, tmp_path: Path
) -> None:
    """Anywhere in the zip; and another key, another file, one more file."""
    operator, supervisor = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    export = await ready(hub, operator, supervisor, incident_id)
    good = hub.exports.path(UUID(export["id"])).read_bytes()
    believed = LedgerKeys(hub.ledger.keys_dir).public()
    file = tmp_path / "x.zip"
    file.write_bytes(good)
    assert check(file, believed)["number"] == export["number"]
    for place in range(0, len(good), max(1, len(good) // 400)):
        bent = bytearray(good)
        bent[place] ^= 1
        file.write_bytes(bent)
        with pytest.raises(BadExportError):
            check(file, believed)
    for cut in (good[:-1], good + b"\0", b"", b"PK"):
        file.write_bytes(cut)
        with pytest.raises(BadExportError):
            check(file, believed)
    with zipfile.ZipFile(BytesIO(good)) as archive:
        entries = [(info.filename, archive.read(info)) for info in archive.infolist()]
    file.write_bytes(write_zip([*entries, ("pictures/999.jpg", b"x")]))
    with pytest.raises(BadExportError, match="does not belong"):
        check(file, believed)
    file.write_bytes(good)
    with pytest.raises(BadExportError, match="not among those believed"):
        check(file, {})


async def test_the_command_line_checks_an_export_offline(
    hub: Hub, sign_in: SignIn, incident_id: UUID, tmp_path: Path
) -> None:
    """With nothing but the file and the public key."""
    operator, supervisor = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    export = await ready(hub, operator, supervisor, incident_id)
    path = hub.exports.path(UUID(export["id"]))
    (key,) = hub.ledger.keys_dir.glob("*.pub")
    command = [
        sys.executable, "-m", "app.cli", "--data-dir", str(tmp_path / "elsewhere"), "exports",
        "verify", str(path), "--public-key", str(key),
    ]  # fmt: skip
    command[1:3] = ["-c", "from app.cli.main import main; main()"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert export["number"] in done.stdout
    bent = bytearray(path.read_bytes())
    bent[len(bent) // 2] ^= 4
    path.write_bytes(bent)
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert done.returncode == 1


def test_every_picture_names_who_had_it() -> None:
    """The strip below is there and legible, the picture itself is written over, small ones too."""
    for size in ((1280, 720), (40, 30)):
        source = BytesIO()
        Image.new("RGB", size, (90, 90, 90)).save(source, "PNG")
        lines = ("X2026-000001  Li Na (li-na)", "2026-11-22 05:50:12 UTC")
        with Image.open(BytesIO(stamp(source.getvalue(), lines))) as made:
            assert made.format == "JPEG"
            assert not made.getexif()
            assert made.height > size[1]
            strip = made.convert("L").crop((0, size[1], made.width, made.height))
            assert max(strip.tobytes()) > 200
            over = made.convert("L").crop((0, 0, *size))
            assert max(over.tobytes()) > 100


def test_a_name_is_never_drawn_as_boxes() -> None:
    """What the font at hand lacks is replaced by the ASCII form."""
    assert shown_name("🙂🙂", "li-na", "id-1") == "li-na id-1"
    assert shown_name("\U0001f642", "李娜", "id-1") == "id-1"
    chinese = shown_name("李娜", "li-na", "id-1")
    assert chinese == ("李娜 (li-na)" if drawable("李娜") else "li-na id-1")
