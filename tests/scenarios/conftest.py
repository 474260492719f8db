"""One running demo and one browser for the journeys of a module."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from app.cli.demo import demo_settings
from app.demo import Demo, Login, running_demo

CHROMIUM = "/usr/bin/chromium"
CHROMIUM_ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
AXE = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Demo]:
    """The whole product with four virtual cameras, as `make demo` runs it."""
    settings = demo_settings(tmp_path_factory.mktemp("demo") / "data", port=0)
    async with running_demo(settings, None, 4, print) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium, headless."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS
        )
        yield chromium
        await chromium.close()


@pytest_asyncio.fixture(loop_scope="module")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A fresh browser profile in English."""
    fresh = await browser.new_context(locale="en-US", viewport={"width": 1280, "height": 900})
    yield fresh
    await fresh.close()


class HasUrl(Protocol):
    """A hub that listens."""

    @property
    def url(self) -> str: ...


async def sign_in(page: Page, demo: HasUrl, login: Login, path: str = "/") -> None:
    """Sign in through the form, as a person does, and go to `path`."""
    await page.goto(f"{demo.url}{path}")
    await page.locator("input[autocomplete=username]").fill(login.username)
    await page.locator("input[type=password]").fill(login.password)
    await page.keyboard.press("Enter")
    await page.locator("nav").first.wait_for()


async def axe_violations(page: Page) -> list[str]:
    """Return what axe finds wrong with the page as it is shown now."""
    # The content security policy refuses script elements; evaluating is the browser's own.
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    # A colour that is still on its way to another is not what anybody reads.
    await page.evaluate(
        "Promise.allSettled(document.getAnimations()"
        ".filter((one) => one instanceof CSSTransition).map((one) => one.finished))"
    )
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']}: {node['html'][:160]} {(node['any'] or [{}])[0].get('message', '')}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]
