"""The page for everybody: no sign-in, no home, no address; and the same as text."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import select, text

from access.jurisdictions.changes import note_changes
from access.ledger.models import LedgerEntry
from access.policy.types import Actor
from api.hub import Hub
from api.noticeboard import FEWEST, TransparencyOut, count_for_everybody, count_homes
from api.noticeboard_text import as_html, as_markdown, camera_rows
from app.schema import MIGRATIONS
from camera_hub.devices.models import Camera
from core.clock import ManualClock
from core.ids import new_id
from core.settings import Settings
from tests.support.http import Client, SignIn

BOTH_STORES = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)
URL = "/api/v1/transparency"
NASTY = "<script>alert(1)</script> | [x](javascript:y) & `z`"


@pytest.fixture
def clock() -> ManualClock:
    """The last minute of October 2026 in UTC."""
    return ManualClock(datetime(2026, 10, 31, 23, 59, 30, tzinfo=UTC))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings of a site with an owner, in UTC."""
    site = settings.site.model_copy(
        update={"time_zone": "UTC", "owner": "Jade Garden", "contact": "office@example.org"}
    )
    return settings.model_copy(update={"site": site})


async def put(hub: Hub, name: str, area: str, kind: str, **more: Any) -> Camera:
    camera = Camera(
        id=new_id(), name=name, area=area, place_kind=kind, source_kind="rtsp",
        address="rtsp://10.1.2.3/secret-path", username="viewer", password_sealed="sealed",
        created_at=hub.clock.now(), **more,
    )  # fmt: skip
    async with hub.database.transaction() as session:
        session.add(camera)
    return camera


async def look(hub: Hub, camera: Camera, who: Client, purpose: str = "", **more: Any) -> None:
    async with hub.database.transaction() as session:
        await hub.views.open_view(
            session, actor=Actor("account", who.account_id, **more), camera_id=camera.id,
            area=camera.area, kind="snapshot", purpose=purpose, household_id=camera.household_id,
            place_kind=camera.place_kind,
        )  # fmt: skip


@BOTH_STORES
async def test_everybody_reads_which_cameras_there_are_and_how_often_they_were_looked_through(
    hub: Hub, client: Client, sign_in: SignIn, clock: ManualClock
) -> None:
    somebody = await sign_in("supervisor")
    family = new_id()
    async with hub.database.transaction() as session:
        for path, called in (
            ("demo", "示范县"),
            ("demo/jade", "Jade Garden"),
            ("demo/hill", "Hill"),
        ):
            await hub.governance.areas.add(session, None, path=path, name=called, level=None)
    gate = await put(
        hub, NASTY, "demo/jade", "public_space", place_type="street", purpose="Safety",
        owner="Town", retention_hours=720, masks=[{"name": "window", "polygon": []}],
    )  # fmt: skip
    lift = await put(hub, "Lift", "demo/jade/b1", "shared_space", residents_may_watch=True)
    home = await put(hub, "Cot", "demo/jade/b1/0301", "home", household_id=family)
    await look(hub, gate, somebody)
    await look(hub, lift, somebody, "case")
    await look(hub, home, somebody, "", households=frozenset({family}))
    clock.advance(31)
    await look(hub, home, somebody, "incident")
    async with hub.database.transaction() as session:
        for kind in ("export.requested", "export.requested", "export.approved", "export.refused"):
            await hub.ledger.append(session, kind, actor=None, data={})
    answer = await client.get(URL)
    assert answer.status_code == 200
    page = answer.json()
    assert [(c["name"], c["masked"], c["residents_may_watch"]) for c in page["cameras"]] == [
        (NASTY, True, False), ("Lift", False, True)
    ]  # fmt: skip
    first, second = page["cameras"]
    assert (first["owner"], first["contact"], first["retention_hours"]) == (
        "Town", "office@example.org", 720
    )  # fmt: skip
    assert (second["owner"], second["retention_hours"]) == ("Jade Garden", None)
    assert (page["homes"], page["homes_by_area"]) == (None, [{"area": "", "cameras": None}])
    assert page["area_names"] == {"demo": "示范县", "demo/jade": "Jade Garden"}
    assert [row[1] for row in camera_rows(TransparencyOut(**page), "en")] == [
        "示范县 › Jade Garden", "示范县 › Jade Garden › b1"
    ]  # fmt: skip
    assert [m["month"] for m in page["months"]][::12] == ["2025-11", "2026-11"]
    october, november = page["months"][-2:]
    assert (october["viewings"], october["by_purpose"]) == (2, {"case": 1, "none": 1})
    assert (november["viewings"], november["by_purpose"]) == (1, {"incident": 1})
    assert (november["requested_exports"], november["exports"], november["refused_exports"]) == (
        2, 1, 1
    )  # fmt: skip
    for hidden in ("10.1.2.3", "secret-path", "viewer", "sealed", "Cot", "0301", str(gate.id)):
        assert hidden not in answer.text


async def test_it_is_counted_once_a_minute(hub: Hub, client: Client, clock: ManualClock) -> None:
    assert (await client.get(URL)).json()["cameras"] == []
    await put(hub, "Lift", "demo", "shared_space")
    clock.advance(59)
    assert (await client.get(URL)).json()["cameras"] == []
    clock.advance(2)
    assert len((await client.get(URL)).json()["cameras"]) == 1


def test_no_small_area_tells_that_a_home_there_has_a_camera() -> None:
    def counted(*areas: str) -> dict[str, int | None]:
        each_their_own = [(area, number) for number, area in enumerate(areas)]
        return {homes.area: homes.cameras for homes in count_homes(each_their_own)}

    assert counted() == {}
    assert counted("a/b/1") == {"": None}
    assert counted("a/b/1", "a/b/2", "a/b/3") == {"a/b": 3}
    assert counted("a/b/1", "a/b/2", "a/c/1") == {"a": 3}
    assert counted(*["a/b/1"] * 3, "a/b/2", "a/c") == {"": 5}, "less the others it is two"
    many = [f"a/{house}/{flat}" for house in range(4) for flat in range(house)]
    assert counted(*many) == {"a/3": 3, "a": 3}
    assert all(n is None or n >= FEWEST for n in counted(*many, "x").values())
    # One family with many cameras is one family.
    flat = [("a/b/1", "Li")] * 5
    assert [(h.area, h.cameras) for h in count_homes(flat)] == [("", None)]
    two_more = [*flat, ("a/b/2", "Wu"), ("a/b/3", "He")]
    assert [(h.area, h.cameras) for h in count_homes(two_more)] == [("a/b", 7)]


async def test_the_page_for_the_notice_board_is_escaped(hub: Hub) -> None:
    await put(hub, NASTY, "demo/jade", "public_space", purpose="a | b\n# c")
    page = await count_for_everybody(hub)
    html, markdown = as_html(page), as_markdown(page)
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; | [x](javascript:y) &amp; `z`" in html
    row = next(line for line in markdown.splitlines() if "alert" in line)
    assert "<script>" not in row
    assert row.replace(r"\|", "").count("|") == 8
    assert "\n# c" not in markdown


async def test_the_page_for_the_notice_board_is_in_both_languages(hub: Hub) -> None:
    await put(hub, "Gate", "demo/jade", "public_space", place_type="street", purpose="Safety")
    page = await count_for_everybody(hub)
    english, chinese = as_html(page), as_html(page, "zh-CN")
    assert '<html lang="en">' in english
    assert "<td>public space / Street</td>" in english
    assert '<html lang="zh-CN">' in chinese
    assert "<td>公共空间 / 街道</td>" in chinese
    assert "未选择适用法律" in as_markdown(page, "zh-CN")
    for words in ("Counted", "Rules", "not said", "Kept for", "Viewings", "No jurisdiction"):
        assert words in english
        assert words not in chinese


@BOTH_STORES
async def test_another_law_or_policy_is_in_the_ledger_once(hub: Hub) -> None:
    async def noted() -> list[str]:
        async with hub.database.transaction() as session:
            return await note_changes(session, hub.clock, hub.ledger, hub.law, hub.policy)

    assert await noted() == ["law", "policy"]
    assert await noted() == []
    hub.law = type(hub.law).load(None, "eu")
    assert await noted() == ["law"]
    assert await noted() == []
    async with hub.database.read() as session:
        query = select(LedgerEntry.body).where(LedgerEntry.kind == "law.changed")
        told = [json.loads(body) for body in await session.scalars(query.order_by(LedgerEntry.seq))]
    assert [(one["source_before"], one["source"]) for one in told] == [("", "none"), ("none", "eu")]
    assert (told[0]["sha256_before"], told[1]["sha256_before"]) == ("", told[0]["sha256"])


async def test_the_command_line_finds_cameras_that_break_the_law(
    hub: Hub, settings: Settings, tmp_path: Path
) -> None:
    await put(hub, "Gate", "demo/jade", "public_space")
    # The tables are made already: say so, or the command would make them.
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    async with hub.database.transaction() as session:
        await session.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        await session.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": head})
    await hub.close()
    values = {
        "data_dir": str(settings.data_dir),
        "database": {"url": settings.database.url},
        "site": {"jurisdiction": "cn"},
    }
    config = tmp_path / "hub.yaml"
    config.write_text(json.dumps(values), encoding="utf-8")

    main = "from app.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", main, "-c", str(config), "law", "check", "--json"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert [(b["camera"], b["rule"]) for b in found["breaches"]] == [("Gate", "CN-VID-1")]
