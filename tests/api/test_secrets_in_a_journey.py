"""Invariant 12 over a whole journey: no secret in an answer, log, metric, file, row or argument."""

import contextlib
import logging
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select

from access.policy.types import Role
from api.hub import Hub
from app.tables import all_tables
from core.logging import configure_logging
from core.rotation import sealed_columns
from core.settings import Settings
from tests.support.http import Client, ServiceClient, SignIn

CAMERA_PASSWORD = "Zq9-camera-hunter2"
ACCOUNT_PASSWORD = "Zq9 account hunter two"


async def journey(client: Client, admin: Client, texts: list[str]) -> list[str]:
    """Do what a person does with secrets, right and wrong; return the secrets."""
    secrets = [CAMERA_PASSWORD, ACCOUNT_PASSWORD, admin.session_token, admin.csrf_token]
    account = {
        "username": "li.wei", "display_name": "Li Wei", "password": ACCOUNT_PASSWORD,
        "roles": [{"role": "patrol", "area": "demo"}],
    }  # fmt: skip
    camera = {
        "name": "Gate", "area": "demo/a", "source_kind": "rtsp", "probe": False,
        "address": f"rtsp://viewer:{CAMERA_PASSWORD}@127.0.0.1:9/cam",
    }  # fmt: skip
    answers = [
        await admin.post("/api/v1/accounts", json=account),
        await admin.post("/api/v1/accounts", json=account),
        await admin.post("/api/v1/accounts", json=account | {"roles": CAMERA_PASSWORD}),
        await admin.post("/api/v1/cameras", json=camera),
        await admin.post("/api/v1/cameras", json=camera | {"probe": True}),
        await admin.post("/api/v1/cameras", json=camera | {"area": ["x"]}),
        await admin.post("/api/v1/cameras/probe", json=camera),
        await admin.get("/api/v1/cameras"),
        await client.get("/api/v1/openapi.json"),
    ]
    for password in (ACCOUNT_PASSWORD, f"{ACCOUNT_PASSWORD}!"):
        body = {"username": "li.wei", "password": password}
        signed_in = await client.post("/api/v1/sessions", json=body)
        answers.append(signed_in)
    issued = await admin.post("/api/v1/tokens", json={"name": "t", "scopes": ["signal.post"]})
    token = issued.json()["token"]
    secrets.append(token)
    bad = {"Authorization": f"Bearer {token}x"}
    answers += [await admin.get("/api/v1/tokens"), await client.get("/api/v1/tokens", headers=bad)]
    texts += [answer.text for answer in answers]
    texts += [str(dict(answer.headers)) for answer in answers if "set-cookie" not in answer.headers]
    return secrets


async def rows(hub: Hub) -> list[tuple[str, str]]:
    """Return every value of every table as text, by column."""
    found = []
    async with hub.database.read() as session:
        for table in all_tables().sorted_tables:
            for row in (await session.execute(select(table))).mappings():
                found += [(f"{table.name}.{key}", str(value)) for key, value in row.items()]
    return found


async def test_secrets_stay_secret_on_a_whole_journey(
    client: Client,
    sign_in: SignIn,
    service_client: ServiceClient,
    hub: Hub,
    settings: Settings,
    capfd: pytest.CaptureFixture[str],
) -> None:
    configure_logging("debug")
    logging.getLogger().setLevel(logging.DEBUG)
    texts: list[str] = []
    try:
        admin = await sign_in(Role.ADMINISTRATOR)
        secrets = await journey(client, admin, texts)
        scraper = await service_client(["metrics.read"])
        texts.append((await scraper.get("/api/v1/metrics")).text)
    finally:
        out = capfd.readouterr()
        configure_logging("error")
    texts += [out.out, out.err, *command_lines()]
    for secret in secrets:
        for text in texts:
            assert secret not in text, text[:300]
        for column, value in await rows(hub):
            assert secret not in value, column
        for path in files(settings.data_dir):
            assert secret.encode() not in path.read_bytes(), path
    sealed = {f"{table.name}.{column.name}" for table, column in sealed_columns()}
    odd = {c for c, value in await rows(hub) if value.startswith("gAAAA") and c not in sealed}
    assert odd == set(), "a sealed value where key rotation does not look"


def command_lines() -> list[str]:
    """Return those of this process and its children, but for children that have just ended."""
    here = psutil.Process()
    found = []
    for process in [here, *here.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):  # of which ZombieProcess is one
            found.append(" ".join(process.cmdline()))
    return found


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
