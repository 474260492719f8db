"""A copy for publication in a real browser: asked for, looked at to its end, then approved."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page, expect

from app.cli.demo import demo_settings
from app.demo import Demo, running_demo, signed_in
from tests.scenarios.conftest import axe_violations, sign_in
from tests.support.waiting import until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(180),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Demo]:
    """One virtual camera whose recorder closes a file every five seconds."""
    settings = demo_settings(tmp_path_factory.mktemp("handing_out") / "data", port=0)
    short = settings.recording.model_copy(update={"segment_s": 5.0})
    settings = settings.model_copy(update={"recording": short})
    async with running_demo(settings, None, 1, print) as running:
        yield running


async def _recorded(demo: Demo) -> dict[str, Any] | None:
    async with signed_in(demo.url, demo.login("duty")) as client:
        camera = (await client.get("/cameras")).json()["items"][0]
        answer = await client.get(f"/cameras/{camera['id']}/recordings")
        spans: list[dict[str, Any]] = answer.json()["spans"]
    return {"camera": camera, **spans[0]} if spans else None


async def _asked(demo: Demo, recorded: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Ask for the recordings as duty staff do."""
    span = {"camera_id": recorded["camera"]["id"], "from": recorded["from"], "to": recorded["to"]}
    body = {
        "recordings": [span],
        "attachment_ids": [],
        "purpose": "case",
        "reference": "K-2026-17",
        "reason": "Who knows this van?",
        "audience": "publication",
        "expires_in_days": 7,
        **changes,
    }
    async with signed_in(demo.url, demo.login("duty")) as client:
        made = await client.post("/exports", json=body)
        assert made.status_code == 201, made.text
        found: dict[str, Any] = made.json()
    return found


async def _state(demo: Demo, export: dict[str, Any]) -> dict[str, Any]:
    async with signed_in(demo.url, demo.login("duty")) as client:
        found: dict[str, Any] = (await client.get(f"/exports/{export['id']}")).json()
    return found


async def test_a_blurred_copy_is_approved_by_whoever_has_seen_all_of_it(
    demo: Demo, context: BrowserContext
) -> None:
    recorded = await until(lambda: _recorded(demo), timeout=60)
    export = await _asked(demo, recorded)
    page = await context.new_page()
    await sign_in(page, demo, demo.login("supervisor"), "/exports")
    card = page.get_by_role("article")
    # The picture is being made; nobody can approve it unseen.
    await expect(card.get_by_role("button", name="Look at it")).to_be_visible(timeout=60_000)
    await expect(card.get_by_role("button", name="Approve")).to_be_hidden()
    await card.get_by_role("button", name="Look at it").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.locator("video")).to_be_visible()
    further = dialog.get_by_role("button", name="Nobody can be known")
    await expect(further).to_be_disabled()
    assert await axe_violations(page) == []
    await page.evaluate("document.querySelector('video').playbackRate = 8")
    await page.evaluate("document.querySelector('video').play()")
    await expect(further).to_be_enabled(timeout=30_000)
    await further.click()
    await dialog.get_by_role("button", name="Approve").click()

    async def ready() -> bool:
        return bool((await _state(demo, export))["state"] == "ready")

    await until(ready, timeout=20)
    async with signed_in(demo.url, demo.login("auditor")) as auditor:
        rows = (await auditor.get("/view-records")).json()["items"]
    (record,) = [row for row in rows if row["kind"] == "export"]
    assert (record["account"]["username"], record["redacted"]) == ("supervisor", True)


async def test_what_is_kept_is_on_one_page_and_is_kept_longer_or_no_more(
    demo: Demo, context: BrowserContext
) -> None:
    recorded = await until(lambda: _recorded(demo), timeout=60)
    await _asked(demo, recorded, reason="Kept for the court")
    page = await context.new_page()
    await sign_in(page, demo, demo.login("supervisor"), "/storage/locks")
    row = page.get_by_role("row").filter(has_text="Kept for the court")
    await expect(row).to_be_visible()
    assert await axe_violations(page) == []
    before = await row.locator("time").last.get_attribute("datetime")
    await row.get_by_role("button", name="Keep longer").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Keep longer").click()
    await expect(dialog.get_by_role("alert")).to_be_visible()  # not without a reason
    assert await axe_violations(page) == []
    await dialog.get_by_label("Reason").fill("The hearing was put off")
    await dialog.get_by_role("button", name="Keep longer").click()
    await expect(dialog).to_be_hidden()
    assert await row.locator("time").last.get_attribute("datetime") != before
    async with page.expect_download() as saved:
        await page.get_by_role("button", name="As a table").click()
    text = await asyncio.to_thread((await (await saved.value).path()).read_text, "utf-8-sig")
    assert text.splitlines()[0].startswith("id,camera_id,camera_name,from,to,reason")
    assert "Kept for the court" in text
    await row.get_by_role("button", name="End").click()
    await dialog.get_by_label("Reason").fill("Settled")
    await dialog.get_by_role("button", name="End").click()
    await expect(row.get_by_text("Ended")).to_be_visible()
    await _narrow(page)
    assert await axe_violations(page) == []


async def _narrow(page: Page) -> None:
    """A phone: nothing is wider than the screen."""
    await page.set_viewport_size({"width": 390, "height": 844})
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
