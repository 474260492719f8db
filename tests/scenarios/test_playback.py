"""What a camera recorded, played back in a real browser, and dark with the right to see it."""

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

REFERENCE = "K-2026-17"
# A small picture of what the video shows now: where it stands, and its brightness in a grid.
_LOOK = """() => {
    const video = document.querySelector('video');
    if (!video || video.readyState < 2 || getComputedStyle(video).visibility === 'hidden') {
        return null;
    }
    const canvas = Object.assign(document.createElement('canvas'), {width: 32, height: 18});
    const pen = canvas.getContext('2d');
    pen.drawImage(video, 0, 0, 32, 18);
    return {at: video.currentTime, pixels: [...pen.getImageData(0, 0, 32, 18).data].join()};
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Demo]:
    """One virtual camera whose recorder closes a file every five seconds."""
    settings = demo_settings(tmp_path_factory.mktemp("playback") / "data", port=0)
    short = settings.recording.model_copy(update={"segment_s": 5.0})
    settings = settings.model_copy(update={"recording": short})
    async with running_demo(settings, None, 1, print) as running:
        yield running


async def _recorded(demo: Demo, name: str) -> dict[str, Any] | None:
    """Return what is recorded of the camera once it is two files long."""
    async with signed_in(demo.url, demo.login(name)) as client:
        camera = (await client.get("/cameras")).json()["items"][0]
        answer = await client.get(f"/cameras/{camera['id']}/recordings")
        spans: list[dict[str, Any]] = answer.json()["spans"]
    return {"camera": camera, **spans[0]} if spans and spans[0]["from"] < spans[0]["to"] else None


async def _open(page: Page, demo: Demo, recorded: dict[str, Any]) -> None:
    """Fill in what for, as a person does, and open the recordings."""
    await page.goto(
        f"{demo.url}/playback?camera={recorded['camera']['id']}&at={recorded['from']}".replace(
            "+", "%2B"
        )
    )
    await page.get_by_role("button", name="Open recordings").click()
    # Without a purpose nothing opens, and the form says what is missing.
    await expect(page.get_by_role("alert").first).to_be_visible()
    await page.get_by_label("What for?").select_option("case")
    await page.get_by_label("Case or order").fill(REFERENCE)
    await page.get_by_role("button", name="Open recordings").click()


async def _look(page: Page) -> dict[str, Any] | None:
    seen: dict[str, Any] | None = await page.evaluate(_LOOK)
    return seen


async def test_a_recording_is_played_back_picture_by_picture_and_stands_in_the_records(
    demo: Demo, context: BrowserContext
) -> None:
    """Pictures move, a key goes on by one, a part is kept, and who looked is written down."""
    recorded = await until(lambda: _recorded(demo, "duty"), timeout=60)
    page = await context.new_page()
    await sign_in(page, demo, demo.login("duty"))
    await _open(page, demo, recorded)
    first = await until(lambda: _look(page), timeout=30)

    async def moved() -> bool:
        now = await _look(page)
        return now is not None and now["at"] > first["at"] and now["pixels"] != first["pixels"]

    await until(moved, timeout=20)
    await page.keyboard.press("k")
    await expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    await until(lambda: page.evaluate("document.querySelector('video').paused"))
    before = (await until(lambda: _look(page)))["at"]
    await page.keyboard.press(".")

    async def stepped() -> bool:
        now = await _look(page)
        return now is not None and before < now["at"] <= before + 0.5

    await until(stepped)
    await page.keyboard.press(",")
    await until(
        lambda: page.evaluate(f"document.querySelector('video').currentTime < {before} + 0.002")
    )
    assert await axe_violations(page) == []

    await page.get_by_role("button", name="Keep this").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Why?").fill("A bicycle is missing")
    await dialog.get_by_role("button", name="Keep this").click()
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_text("A bicycle is missing")).to_be_visible()

    await page.get_by_role("link", name="Queue").click()
    await page.wait_for_url("**/queue")

    async def written() -> list[dict[str, Any]]:
        async with signed_in(demo.url, demo.login("auditor")) as auditor:
            rows = (await auditor.get("/view-records")).json()["items"]
        return [r for r in rows if r["kind"] == "playback" and r["ended_at"] is not None]

    # Leaving the page has ended it.
    (record,) = await until(written, timeout=10)
    assert record["purpose"] == "case"
    assert record["reference"] == REFERENCE
    assert record["account"]["username"] == "duty"


async def test_a_withdrawn_role_takes_the_picture_away(demo: Demo, context: BrowserContext) -> None:
    """What lies in the browser's buffer does not outlast the right to see it."""
    recorded = await until(lambda: _recorded(demo, "supervisor"), timeout=60)
    page = await context.new_page()
    await sign_in(page, demo, demo.login("supervisor"))
    await _open(page, demo, recorded)
    await until(lambda: _look(page), timeout=30)
    async with signed_in(demo.url, demo.login("admin")) as admin:
        people = (await admin.get("/accounts")).json()["items"]
        account = next(one for one in people if one["username"] == "supervisor")
        area = account["roles"][0]["area"]
        change = {"roles": [{"role": "patrol", "area": area}]}
        changed = await admin.patch(f"/accounts/{account['id']}", json=change)
        assert changed.is_success, changed.text

    async def dark() -> bool:
        return await _look(page) is None

    await until(dark, timeout=5)
