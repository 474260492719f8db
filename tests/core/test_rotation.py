"""The key of the credentials is replaced while the hub runs, and a kill at any point loses none."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from access.policy.types import Role
from api.hub import Hub
from app.tables import all_tables
from camera_hub.devices.models import Camera
from core.rotation import rotate, sealed_columns
from core.secrets import SecretBox, SecretBoxError, new_key, read_keys, write_keys
from core.settings import Settings, load_settings
from tests.support.http import SignIn

BOTH = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)
PASSWORD = "hunter2-at-the-gate"


async def add_cameras(sign_in: SignIn, count: int) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    for number in range(count):
        made = await admin.post(
            "/api/v1/cameras",
            json={
                "name": f"Gate {number}", "area": "demo/a", "source_kind": "rtsp", "probe": False,
                "address": f"rtsp://viewer:{PASSWORD}{number}@127.0.0.1:9/cam",
            },
        )  # fmt: skip
        assert made.status_code == 201, made.text


async def passwords(hub: Hub, box: SecretBox) -> set[str]:
    async with hub.database.read() as session:
        sealed = await session.scalars(select(Camera.password_sealed))
        return {box.open(text) for text in sealed}


EXPECTED = {f"{PASSWORD}{number}" for number in range(3)}


@BOTH
async def test_every_credential_is_sealed_anew_and_the_old_key_is_gone(
    hub: Hub, settings: Settings, sign_in: SignIn
) -> None:
    await add_cameras(sign_in, 3)
    path = settings.secret_key_file
    old = path.read_bytes()
    done = await rotate(hub.database, path, settle_s=0)
    assert done.resealed == 3
    assert done.old_key_removed
    assert old.strip() not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert await passwords(hub, SecretBox.from_file(path)) == EXPECTED
    with pytest.raises(SecretBoxError):
        await passwords(hub, SecretBox(old.strip()))
    # The hub that runs has the old box, and follows by itself.
    assert await passwords(hub, hub.secrets) == EXPECTED
    await add_cameras(sign_in, 1)
    assert await passwords(hub, SecretBox.from_file(path)) == EXPECTED


KILLED_AT = """
import asyncio, os, signal, sys
from pathlib import Path
from app.tables import all_tables
from core import rotation, secrets
from core.database import Database
point, url, path = sys.argv[1:]
all_tables()
real = {"write": rotation.write_keys, "lock": rotation._lock, "reseal": rotation._reseal}
calls = {"n": 0}
def die():
    os.kill(os.getpid(), signal.SIGKILL)
def write(path, keys):
    if point == "before-new-key" or (point == "before-removal" and len(keys) == 1):
        die()
    real["write"](path, keys)
    if point == "after-new-key":
        die()
async def lock(session, table):
    calls["n"] += 1
    # The column before this one has been written, and nothing is committed.
    if point == "amid" and calls["n"] > 1:
        die()
    await real["lock"](session, table)
async def reseal(*arguments):
    found = await real["reseal"](*arguments)
    if point == "after-commit":
        die()
    return found
rotation.write_keys, rotation._lock, rotation._reseal = write, lock, reseal
asyncio.run(rotation.rotate(Database(url), Path(path), settle_s=0))
"""


@pytest.mark.faults
@pytest.mark.parametrize("point", ["after-new-key", "amid", "after-commit"])
async def test_a_kill_at_any_point_loses_no_credential(
    hub: Hub, settings: Settings, sign_in: SignIn, point: str
) -> None:
    await add_cameras(sign_in, 3)
    path = settings.secret_key_file
    url = hub.database.url.render_as_string(hide_password=False)
    words = [sys.executable, "-c", KILLED_AT, point, url, str(path)]
    killed = subprocess.run(words, check=False, capture_output=True, text=True, cwd=Path.cwd())
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    # As it lies there, a hub can start with it.
    assert await passwords(hub, SecretBox.from_file(path)) == EXPECTED
    done = await rotate(hub.database, path, settle_s=0)
    assert done.old_key_removed
    assert len(read_keys(path)) == 1
    assert await passwords(hub, SecretBox.from_file(path)) == EXPECTED
    assert [p.name for p in path.parent.glob("secret.key*")] == ["secret.key"]


async def test_a_credential_sealed_with_an_unknown_key_stops_it_before_anything_changes(
    hub: Hub, settings: Settings, sign_in: SignIn
) -> None:
    await add_cameras(sign_in, 3)
    path = settings.secret_key_file
    old = read_keys(path)
    write_keys(path, [new_key()])
    with pytest.raises(SecretBoxError):
        await rotate(hub.database, path, settle_s=0)
    write_keys(path, [*read_keys(path), *old])
    assert (await rotate(hub.database, path, settle_s=0)).resealed == 3


def test_every_sealed_column_is_found() -> None:
    all_tables()
    found = {f"{table.name}.{column.name}" for table, column in sealed_columns()}
    assert "camera.password_sealed" in found
    assert any(name.endswith(".sealed") for name in found), "the second factors"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="Linux")
def test_the_key_comes_from_the_service_manager_or_a_named_file(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    environ = {"CREDENTIALS_DIRECTORY": str(credentials)}
    mine = {"data_dir": str(tmp_path / "data")}
    usual = load_settings(environ=environ, overrides=mine).secret_key_file
    assert usual == tmp_path / "data" / "secret.key"
    (credentials / "camera-hub-key").write_bytes(new_key())
    handed_over = load_settings(environ=environ, overrides=mine)
    assert handed_over.secret_key_file == credentials / "camera-hub-key"
    named = environ | {"CAMERA_HUB_SECRETS__KEY_FILE": str(tmp_path / "k")}
    assert load_settings(environ=named, overrides=mine).secret_key_file == tmp_path / "k"
    # What the supervisor resolved, the children get: they need no variable.
    again = Settings.model_validate_json(handed_over.model_dump_json())
    assert again.secret_key_file == handed_over.secret_key_file


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_key_file_that_cannot_be_written_says_what_to_do(
    hub: Hub, settings: Settings
) -> None:
    folder = settings.secret_key_file.parent
    folder.chmod(0o500)
    with pytest.raises(SecretBoxError, match="first line"):
        await rotate(hub.database, settings.secret_key_file, settle_s=0)
    folder.chmod(0o700)
