"""Recordings asked for from the command line: the same door and the same second person."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from access.ledger.keys import LedgerKeys
from app.handing_out import RefusedError, Wish, fetched, signed_in, wish_for
from core.errors import NotFoundError, UnavailableError
from core.settings import Settings
from governance.exports.package import check
from tests.api.exports_kit import step
from tests.api.playbacks_kit import AREA, BEGIN, WHY, Past, past
from tests.support.http import PASSWORD, LiveServer, SignIn

__all__ = ["past"]


def wish(camera: str) -> Wish:
    return Wish(
        [camera], BEGIN + timedelta(seconds=1), BEGIN + timedelta(seconds=8),
        WHY["purpose"], WHY["reference"], "asked for by the court", 2,
    )  # fmt: skip


def no_code() -> str:
    raise AssertionError("this account has no second factor")


async def test_recordings_are_fetched_once_a_second_person_has_approved(
    past: Past, server: LiveServer, sign_in: SignIn, settings: Settings, tmp_path: Path
) -> None:
    await sign_in("operator", AREA, username="guard")
    other = await sign_in("supervisor", AREA, at=server)
    told: list[str] = []
    async with signed_in(server.url, "guard", PASSWORD, no_code) as client:
        export = await wish_for(client, wish("Gate"))
        fetching = asyncio.create_task(
            fetched(client, export, tmp_path / "out", lambda state, _: told.append(state))
        )
        assert (await step(other, export, "approve", "seen the order")).status_code == 200
        path = await fetching
    manifest = check(path, LedgerKeys(settings.ledger_dir / "keys").public())
    assert [clip["camera"] for clip in manifest["recordings"]] == ["Gate"]
    assert told[0] == "requested"
    assert [file.name for file in (tmp_path / "out").iterdir()] == [path.name]


async def test_what_is_refused_says_so_and_leaves_no_file(
    past: Past, server: LiveServer, sign_in: SignIn, tmp_path: Path
) -> None:
    await sign_in("operator", AREA, username="guard")
    other = await sign_in("supervisor", AREA, at=server)
    with pytest.raises(RefusedError):
        async with signed_in(server.url, "guard", "not the password", no_code):
            pass
    async with signed_in(server.url, "guard", PASSWORD, no_code) as client:
        with pytest.raises(NotFoundError, match="no one camera"):
            await wish_for(client, wish("Moon"))
        export = await wish_for(client, wish(str(past.camera_id)))
        assert (await step(other, export, "refuse", "no order was shown")).status_code == 200
        with pytest.raises(RefusedError, match="no order was shown"):
            await fetched(client, export, tmp_path / "out", lambda *_: None)
        with pytest.raises(RefusedError, match="blurred"):
            await wish_for(client, replace(wish("Gate"), audience="publication", blurred=False))
        blurred = await wish_for(client, replace(wish("Gate"), audience="publication"))
        assert (blurred["rendition"], blurred["sound"]) == ("blurred", False)
        with pytest.raises(RefusedError, match="sound"):
            await wish_for(client, replace(wish("Gate"), blurred=True, sound=True))
    assert not (tmp_path / "out").exists()
    with pytest.raises(UnavailableError, match="No running hub"):
        async with signed_in("http://127.0.0.1:9", "guard", PASSWORD, no_code):
            pass
