"""The ledger over HTTP, and what the hub enters in it, on both stores."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import get_args

import orjson
import pytest
from sqlalchemy import text

from access.ledger.checkpoints import Checkpoint
from access.ledger.keys import LedgerKeys
from access.ledger.verifying import Fault
from access.policy.types import Actor
from api.hub import Hub
from core.ids import new_id
from core.settings import Settings
from governance.outbox import service as outbox
from tests.governance.support import AREA, signal
from tests.support.http import LiveServer, ServiceClient, SignIn

BOTH = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)


async def enter(hub: Hub, kind: str, area: str = AREA, subject: str = "") -> None:
    async with hub.database.transaction() as session:
        await hub.ledger.append(
            session, kind, actor=None, area=area, subject=subject, data={"why": "test"}
        )


@BOTH
async def test_auditors_read_the_ledger_of_their_area(hub: Hub, sign_in: SignIn) -> None:
    """Newest first, by page, kind, subject and person; nothing of elsewhere."""
    auditor = await sign_in("auditor", "demo/riverside")
    for number in range(5):
        await enter(hub, "grant.given", subject=f"thing {number}")
    await enter(hub, "grant.given", area="demo/hillside")
    await enter(hub, "hub.started", area="")
    first = (await auditor.get("/api/v1/ledger?limit=3&kind=grant.given")).json()
    assert [e["subject"] for e in first["items"]] == ["thing 4", "thing 3", "thing 2"]
    rest = await auditor.get(
        "/api/v1/ledger",
        params={"limit": 3, "kind": "grant.given", "cursor": first["next_cursor"]},
    )
    assert [e["subject"] for e in rest.json()["items"]] == ["thing 1", "thing 0"]
    [one] = (await auditor.get("/api/v1/ledger?subject=thing 2")).json()["items"]
    assert (one["data"], one["actor"], one["area"]) == ({"why": "test"}, None, AREA)
    assert len(bytes.fromhex(one["hash"])) == 32


@BOTH
async def test_the_head_and_the_checkpoint_are_handed_out(hub: Hub, sign_in: SignIn) -> None:
    """The checkpoint is a file whose signature holds for the public key of the site."""
    auditor = await sign_in("auditor")
    await enter(hub, "grant.given")
    assert (await auditor.get("/api/v1/ledger/checkpoint")).status_code == 404
    await hub.signer.sign()
    head = (await auditor.get("/api/v1/ledger/head")).json()
    answer = await auditor.get("/api/v1/ledger/checkpoint")
    assert "attachment" in answer.headers["content-disposition"]
    given = Checkpoint.from_json(answer.content)
    assert (given.seq, given.hash.hex()) == (head["seq"], head["hash"])
    assert head["signed_through"] == head["seq"]
    public = LedgerKeys(hub.ledger.keys_dir).public()[given.key_id]
    assert given.holds(public)
    assert orjson.loads(answer.content)["public_key"]


@BOTH
@pytest.mark.parametrize("bent", [False, True])
async def test_a_verification_runs_in_the_background(hub: Hub, sign_in: SignIn, bent: bool) -> None:
    """In a process of its own; it names the first bad entry."""
    auditor = await sign_in("auditor", AREA)
    for _ in range(4):
        await enter(hub, "grant.given")
    await hub.signer.sign()
    if bent:
        async with hub.database.transaction() as session:
            if hub.database.is_sqlite:
                await session.execute(text("DROP TRIGGER ledger_entry_no_update"))
            else:
                await session.execute(text("ALTER TABLE ledger_entry DISABLE TRIGGER ALL"))
            await session.execute(text("UPDATE ledger_entry SET subject = 'x' WHERE seq = 4"))
    started = await auditor.post("/api/v1/ledger/verifications")
    assert started.status_code == 202
    again = (await auditor.post("/api/v1/ledger/verifications")).json()
    assert again["id"] == started.json()["id"]
    path = f"/api/v1/ledger/verifications/{started.json()['id']}"
    async with asyncio.timeout(60):
        while (run := (await auditor.get(path)).json())["state"] == "running":
            await asyncio.sleep(0.05)
    assert run["state"] == ("bad" if bent else "good"), run
    assert (run["bad"] or {}).get("seq") == (4 if bent else None)
    assert run["checked"] == (3 if bent else run["total"])


async def test_only_auditors_read_it(hub: Hub, sign_in: SignIn) -> None:
    """Neither administrators nor those who look."""
    await enter(hub, "grant.given")
    for role in ("administrator", "supervisor", "operator", "duty_staff", "resident"):
        client = await sign_in(role)
        assert (await client.get("/api/v1/ledger")).status_code == 403, role
        assert (await client.post("/api/v1/ledger/verifications")).status_code == 403, role


@BOTH
async def test_signals_viewings_and_changes_of_cameras_do_not_wait_for_each_other_for_ever(
    hub: Hub, server: LiveServer, sign_in: SignIn, service_client: ServiceClient
) -> None:
    """Transactions with outbox and ledger, and with the ledger alone, all at once."""
    worker = await service_client(["signal.post"], at=server)
    administrator = await sign_in("administrator", at=server)
    operator = await sign_in("operator", at=server)
    actor = Actor(kind="account", id=operator.account_id, name=operator.username)

    async def post(number: int) -> None:
        raw = signal(event_key=f"k{number % 3}")
        assert (await worker.post("/api/v1/signals", json=raw)).status_code == 201

    async def look() -> None:
        async with hub.database.transaction() as session:
            view = await hub.views.open_view(
                session, actor=actor, camera_id=new_id(), area=AREA, kind="live"
            )
        async with hub.database.transaction() as session:
            await hub.views.close_view(session, view)

    async def make(number: int) -> None:
        answer = await administrator.post(
            "/api/v1/accounts",
            json={
                "username": f"somebody-{number}",
                "display_name": "Somebody",
                "password": f"a long enough secret {number}",
                "roles": [],
            },
        )
        assert answer.status_code == 201, answer.text

    async def both(number: int) -> None:
        async with hub.database.transaction() as session:
            await outbox.append(
                session,
                type="camera.changed",
                area=AREA,
                payload={"camera_id": str(number)},
                at=hub.clock.now(),
            )
            await hub.ledger.append(
                session, "camera.changed", actor=None, area=AREA, data={"n": number}
            )

    async with asyncio.timeout(60):
        await asyncio.gather(
            *(post(n) for n in range(15)),
            *(look() for _ in range(25)),
            *(both(n) for n in range(25)),
            *(make(n) for n in range(2)),
        )
    await hub.signer.sign()
    auditor = await sign_in("auditor", at=server)
    page = (await auditor.get("/api/v1/ledger?kind=view.closed")).json()
    assert len(page["items"]) == 25


async def test_the_wrong_order_of_locks_is_refused(hub: Hub) -> None:
    """Whoever takes the ledger's lock first is stopped in every test, on either store."""
    async with hub.database.transaction() as session:
        await hub.ledger.append(session, "grant.given", actor=None, data={})
        with pytest.raises(RuntimeError, match=r"before the ledger"):
            await outbox.serialise(session)


async def test_start_and_stop_are_entered_and_signed(
    hub: Hub, server: LiveServer, sign_in: SignIn
) -> None:
    """The running application signs by itself."""
    auditor = await sign_in("auditor", at=server)
    async with asyncio.timeout(20):
        while not (head := (await auditor.get("/api/v1/ledger/head")).json())["signed_through"]:
            await asyncio.sleep(0.02)
    assert head["seq"] >= 1
    entries = (await auditor.get("/api/v1/ledger")).json()["items"]
    assert {"hub.started", "ledger.key", "session.opened"} <= {e["kind"] for e in entries}


def _command(settings: Settings, *arguments: str) -> list[str]:
    return [
        sys.executable, "-c", "from app.cli.main import main; main()",
        "--data-dir", str(settings.data_dir), "ledger", *arguments,
    ]  # fmt: skip


async def test_the_command_line_verifies_while_the_hub_runs(
    hub: Hub, settings: Settings, server: LiveServer, sign_in: SignIn, tmp_path: Path
) -> None:
    """Good with exit 0; after an edit with sqlite3 it names the entry and exits 1."""
    auditor = await sign_in("auditor", at=server)
    async with asyncio.timeout(20):
        while not (await auditor.get("/api/v1/ledger/head")).json()["signed_through"]:
            await asyncio.sleep(0.02)
    environment = {"CAMERA_HUB_DATABASE__URL": settings.database_url, "PATH": "/usr/bin:/bin"}

    async def call(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return await asyncio.to_thread(
            subprocess.run,
            _command(settings, *arguments),
            capture_output=True,
            text=True,
            env=environment,
        )

    copy = tmp_path / "checkpoint.json"
    assert (await call("checkpoint", "--output", str(copy))).returncode == 0
    good = await call("verify", "--checkpoint", str(copy), "--json")
    assert good.returncode == 0, good.stderr
    assert orjson.loads(good.stdout)["state"] == "good"
    assert "hub.started" in (await call("list")).stdout
    async with hub.database.transaction() as session:
        await session.execute(text("DROP TRIGGER ledger_entry_no_update"))
        await session.execute(text("UPDATE ledger_entry SET at = at + 1 WHERE seq = 1"))
    bad = await call("verify")
    assert bad.returncode == 1
    assert "Entry 1 " in bad.stdout


def test_the_console_has_words_for_every_fault_of_the_ledger() -> None:
    texts = Path(__file__).resolve().parents[2] / "web" / "src" / "i18n"
    for language in ("en", "zh-CN"):
        words = orjson.loads((texts / f"{language}.json").read_bytes())["ledger"]["fault"]
        assert words.keys() == set(get_args(Fault))
