"""From a camera to a handled incident, in a real browser, with real footage over RTSP."""

import re

import pytest
from playwright.async_api import BrowserContext, Page, expect

from app.demo import Demo, signed_in
from app.demo_home import HOME_CAMERA, HOME_CAMERA_NAME
from tests.scenarios.conftest import axe_violations, sign_in
from tests.support.waiting import until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(180),
]


def _shown(demo: Demo) -> list[dict[str, object]]:
    """Return the cameras that the duty desk sees: all but the one that hangs in a home."""
    return [c for n, c in enumerate(demo.site.cameras, 1) if n != HOME_CAMERA]


async def _playing(page: Page) -> int:
    """Return how many videos of the page show moving pictures now.

    A tile may come or go between two looks, so each video is asked for itself, in one look.
    """
    return await page.evaluate(
        """async () => {
            const videos = [...document.querySelectorAll('video')].filter(v => v.videoWidth);
            const before = videos.map(v => v.currentTime);
            await new Promise(done => setTimeout(done, 500));
            return videos.filter((v, i) => v.isConnected && v.currentTime > before[i]).length;
        }"""
    )


async def test_the_wall_shows_every_camera_live(demo: Demo, context: BrowserContext) -> None:
    """Three tiles, each playing, each with its name and state; the home's is not among them."""
    page = await context.new_page()
    await sign_in(page, demo, demo.login("duty"), "/wall")

    async def all_play() -> bool:
        return await _playing(page) == len(_shown(demo))

    await page.set_viewport_size({"width": 1280, "height": 1400})
    await until(all_play, timeout=60)
    for camera in _shown(demo):
        await expect(page.get_by_text(str(camera["name"])).first).to_be_visible()
    await expect(page.get_by_text(HOME_CAMERA_NAME, exact=True)).to_have_count(0)
    await expect(page.get_by_text("Online", exact=True)).to_have_count(len(_shown(demo)))


async def test_a_person_in_a_forbidden_zone_becomes_a_handled_incident(
    demo: Demo, context: BrowserContext
) -> None:
    """Seen in the queue, acknowledged, closed with a note, found in the history."""
    page = await context.new_page()
    await sign_in(page, demo, demo.login("duty"), "/queue")
    line = page.locator("article.line").first
    await line.wait_for(timeout=90_000)
    headline = await line.locator("h2").inner_text()
    assert "Lobby" in headline or "Street" in headline
    # The picture and its boxes arrived, not just the row.
    await until(
        lambda: line.locator("img").evaluate("img => img.complete && img.naturalWidth > 0"),
        timeout=20,
    )
    await expect(line.locator("svg rect").first).to_be_attached()

    await line.locator("h2 a").click()
    await page.wait_for_url(re.compile("/incidents/"))
    incident_url = page.url
    await page.get_by_role("button", name="Acknowledge").click()
    await expect(page.get_by_text("Duty desk").first).to_be_visible()

    async def live_plays() -> bool:
        return await _playing(page) >= 1

    # A view that is not looked at is not opened: it lies below the steps and the picture.
    await page.get_by_role("heading", name="Live now", exact=True).scroll_into_view_if_needed()
    await page.mouse.wheel(0, 400)
    await until(live_plays, timeout=30)
    await page.get_by_role("button", name="Close", exact=True).click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Close incident").click()
    # Without a note nothing is closed, and the form says what is missing.
    await expect(dialog.get_by_role("alert").first).to_be_visible()
    await dialog.locator("textarea").fill("Spoke with the visitor at the table.")
    await dialog.locator("input[value=handled]").check()
    await dialog.get_by_role("button", name="Close incident").click()
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_text("Spoke with the visitor at the table.")).to_be_visible()

    await page.goto(f"{demo.url}/queue")
    await page.get_by_text("Closed", exact=True).first.click()
    await expect(
        page.locator(f'a[href="{incident_url.removeprefix(demo.url)}"]').first
    ).to_be_attached()


async def test_who_looked_is_on_record_before_it_was_shown(
    demo: Demo, context: BrowserContext
) -> None:
    """What the two journeys above showed stands in the view records, and is not shown to admin."""
    page = await context.new_page()
    await sign_in(page, demo, demo.login("duty"), "/wall")

    async def plays() -> bool:
        return await _playing(page) >= 1

    await until(plays, timeout=60)
    async with signed_in(demo.url, demo.login("admin")) as admin:
        camera = (await admin.get("/cameras")).json()["items"][0]
        picture = await admin.get(f"/cameras/{camera['id']}/snapshot")
        assert picture.status_code == 403
    async with signed_in(demo.url, demo.login("auditor")) as client:
        records = (await client.get("/view-records")).json()["items"]
    assert {"live", "incident_image"} <= {record["kind"] for record in records}
    assert {record["account"]["username"] for record in records} == {"duty"}


async def test_a_camera_without_power_is_seen_and_comes_back(
    demo: Demo, context: BrowserContext
) -> None:
    """Its tile says so with a reason, its failure is an incident, and it heals by itself."""
    page = await context.new_page()
    await page.set_viewport_size({"width": 1280, "height": 1400})
    await sign_in(page, demo, demo.login("duty"), "/wall")
    await expect(page.get_by_text("Online", exact=True)).to_have_count(3, timeout=30_000)
    name = demo.site.cameras[3]["name"]
    await demo.site.command("kill 4")
    await expect(page.get_by_text("Online", exact=True)).to_have_count(2, timeout=30_000)

    async with signed_in(demo.url, demo.login("duty")) as client:

        async def fault() -> dict[str, object] | None:
            items = (await client.get("/incidents?state=all")).json()["items"]
            faults = [i for i in items if i["kind"] == "camera_offline"]
            return faults[0] if faults else None

        incident = await until(fault, timeout=60)
        assert name in incident["headline"]
        await demo.site.command("restart 4")
        await expect(page.get_by_text("Online", exact=True)).to_have_count(3, timeout=60_000)

        async def recovered() -> bool:
            found = await fault()
            return found is not None and found["resolution"] == "recovered"

        await until(recovered, timeout=30)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
async def test_every_page_is_accessible(
    demo: Demo, context: BrowserContext, scheme: str, locale: str
) -> None:
    """axe finds nothing on any page, light and dark, in both languages, at phone width too."""
    assert context.browser is not None
    fresh = await context.browser.new_context(
        locale=locale,
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": 390, "height": 844}
        if scheme == "dark"
        else {"width": 1280, "height": 900},
        reduced_motion="reduce",
    )
    page = await fresh.new_page()
    await page.goto(demo.url)
    await page.locator("input[type=password]").wait_for()
    found = {"/sign-in": await axe_violations(page)}
    await sign_in(page, demo, demo.login("supervisor"))
    async with signed_in(demo.url, demo.login("supervisor")) as client:
        incident = (await client.get("/incidents?state=all")).json()["items"][0]["id"]
        camera = (await client.get("/cameras")).json()["items"][0]["id"]
    for path in (
        "/queue",
        "/wall",
        f"/incidents/{incident}",
        "/cameras",
        f"/cameras/{camera}/zones",
    ):
        await page.goto(f"{demo.url}{path}")
        await page.locator("h1").first.wait_for()
        await page.wait_for_timeout(300)
        found[path] = await axe_violations(page)
    await fresh.clear_cookies()
    await sign_in(page, demo, demo.login("admin"))
    for path, loaded in (("/tokens", "tbody tr"), ("/system", "dl")):
        await page.goto(f"{demo.url}{path}")
        await page.locator(loaded).first.wait_for()
        found[path] = await axe_violations(page)
    await fresh.close()
    assert {path: violations for path, violations in found.items() if violations} == {}
