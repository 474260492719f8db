"""The speaker on a camera's page: silent at first, asks why, and is heard in a real browser."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import async_playwright, expect

import api
from tests.api.test_live_sound import reading, scene
from tests.scenarios.conftest import CHROMIUM, CHROMIUM_ARGUMENTS
from tests.support.http import PASSWORD, SignIn
from tests.support.live import AREA, Scene

__all__ = ["reading", "scene"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Debian's chromium"),
    pytest.mark.skipif(
        not (Path(api.__file__).parent / "console" / "index.html").exists(),
        reason="the console is not built: run `make setup`",
    ),
]

LOOK = """() => {
  const video = document.querySelector('video')
  return { at: video.currentTime, muted: video.muted, heard: video.webkitAudioDecodedByteCount }
}"""
MOVES = """async () => {
  const video = document.querySelector('video')
  const before = video.currentTime
  await new Promise((done) => setTimeout(done, 400))
  return video.isConnected && video.currentTime > before
}"""
HEARD = "() => document.querySelector('video').webkitAudioDecodedByteCount > 0"


async def test_a_camera_is_heard_for_a_reason_only(scene: Scene, sign_in: SignIn) -> None:
    operator = await sign_in("operator", AREA, at=scene.server)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS
        )
        page: Any = await (await browser.new_context(locale="en-US")).new_page()
        await page.goto(f"{scene.server.url}/cameras/{scene.camera_id}")
        await page.locator("input[autocomplete=username]").fill(operator.username)
        await page.locator("input[type=password]").fill(PASSWORD)
        await page.keyboard.press("Enter")
        speaker = page.get_by_role("button", name="Listen to Gate")
        await expect(speaker).to_have_attribute("aria-pressed", "false")
        await page.wait_for_function(MOVES, timeout=20000)
        silent = await page.evaluate(LOOK)
        assert (silent["muted"], silent["heard"]) == (True, 0)

        await page.keyboard.press("m")
        dialog = page.get_by_role("dialog")
        await dialog.locator("button, input").first.wait_for()
        await dialog.get_by_role("button", name="Listen", exact=True).click()
        # Without a number nobody listens.
        await expect(dialog).to_be_visible()
        await dialog.locator("select").select_option("case")
        await dialog.locator("input.reference").fill("K-2026-17")
        await dialog.get_by_role("button", name="Listen", exact=True).click()
        await expect(page.get_by_role("button", name="Mute Gate")).to_be_visible()
        await page.wait_for_function(HEARD, timeout=20000)
        await page.wait_for_function(MOVES, timeout=20000)
        assert (await page.evaluate(LOOK))["muted"] is False

        await page.get_by_role("button", name="Mute Gate").click()
        await expect(speaker).to_have_attribute("aria-pressed", "false")
        await page.wait_for_function(MOVES, timeout=20000)
        assert (await page.evaluate(LOOK))["muted"] is True
        await browser.close()
    assert [record.sound for record in await scene.records()] == [False, True, False]
