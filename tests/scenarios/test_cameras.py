"""Cameras in a real browser: found by calling out, added, watched, set, turned and recorded."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import Browser, Page, expect

from access.policy.types import Role, RoleBinding
from api.hub import build_hub
from app.cli.demo import demo_settings
from app.demo import Login, signed_in
from app.serve import running_node
from camera_hub.simulator.site import SimulatedSite, VirtualCamera
from core.clock import SystemClock
from tests.scenarios.conftest import axe_violations
from tests.support.http import PASSWORD, password_hash
from tests.support.media_footage import write_mp4
from tests.support.waiting import until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(150),
]

AREA = "demo/riverside"
PLAYING = """async () => {
    const video = document.querySelector('video');
    if (!video || !video.videoWidth) return false;
    const before = video.currentTime;
    await new Promise(done => setTimeout(done, 400));
    return video.isConnected && video.currentTime > before;
}"""


@dataclass
class Site:
    """The running node, and the one camera of its network."""

    url: str
    camera: VirtualCamera

    async def page(self, browser: Browser, username: str, path: str) -> Page:
        """Sign in as a person does, and open `path`."""
        context = await browser.new_context(
            locale="en-US", viewport={"width": 1280, "height": 1000}, reduced_motion="reduce"
        )
        page = await context.new_page()
        await page.goto(f"{self.url}{path}")
        await page.locator("input[autocomplete=username]").fill(username)
        await page.locator("input[type=password]").fill(PASSWORD)
        await page.keyboard.press("Enter")
        await page.locator("nav").first.wait_for()
        return page


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A whole node without cameras, and a simulated one that answers WS-Discovery on loopback."""
    directory = tmp_path_factory.mktemp("cameras")
    footage = directory / "square.mp4"
    write_mp4(footage, seconds=4.0, width=640, height=480)
    settings, clock = demo_settings(directory / "data", port=0), SystemClock()
    network = SimulatedSite(
        work_dir=directory / "clips", clock=clock, footage=footage, cameras=1, discoverable=True
    )
    async with network, running_node(settings, clock) as (url, _):
        hub = build_hub(settings, clock)
        try:
            async with hub.database.transaction() as session:
                for username, role in (("admin", Role.ADMINISTRATOR), ("chief", Role.SUPERVISOR)):
                    await hub.accounts.create(
                        session,
                        username=username,
                        display_name=username.title(),
                        password=password_hash(),
                        roles=[RoleBinding(role, "")],
                        locale="en",
                    )
        finally:
            await hub.close()
        yield Site(url, network.cameras[0])


async def _find_and_add(page: Page, camera: VirtualCamera) -> None:
    """Search the loopback network, choose the camera and add it."""
    await page.get_by_role("button", name="Find cameras").click()
    await page.get_by_text("Network adapter and ports").click()
    await page.get_by_label("Address of the network adapter").fill("127.0.0.1")
    await page.get_by_role("button", name="Search", exact=True).click()
    line = page.locator("li.one").filter(has_text=camera.onvif.address)
    await expect(line).to_be_visible(timeout=15_000)
    await line.locator("input").check()
    await expect(page.get_by_text(re.compile("^Done: "))).to_be_visible(timeout=15_000)
    form = page.locator("form").filter(has_text="This counts for all of them")
    name = form.get_by_label(f"Name of {camera.onvif.address}")
    assert await name.input_value()
    await name.fill("East gate")
    await form.get_by_label("User name").first.fill(camera.username)
    await form.get_by_label("Password", exact=True).first.fill("wrong")
    await form.get_by_label("Area", exact=True).first.fill(AREA)
    await form.get_by_label("What it is for").first.fill("Safety of the entrance")
    assert await axe_violations(page) == []
    await form.get_by_role("button", name="Add 1 camera").click()
    # What failed says why and can be tried again.
    await expect(form.get_by_text("Not added.")).to_be_visible(timeout=20_000)
    await form.get_by_label("Password", exact=True).first.fill(camera.password)
    await form.get_by_role("button", name="Try the remaining one again").click()
    await expect(page.get_by_text("1 camera is added.")).to_be_visible(timeout=20_000)
    await expect(line).to_contain_text("Already added as East gate")


async def _put_on_a_plan(page: Page, drawing: Path) -> None:
    """Go on to the plans from what was added, send a drawing, place the camera by keyboard."""
    await page.get_by_role("link", name="Place them on a plan").click()
    await page.get_by_role("button", name="Add a plan").click()
    await page.locator("input[type=file]").set_input_files(drawing)
    assert await page.get_by_label("Name").input_value() == "ground floor"
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.locator("svg image")).to_be_visible(timeout=15_000)
    chosen = page.get_by_role("button", name=re.compile("^East gate"))
    await chosen.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Put it on the plan")).to_be_focused()
    await page.keyboard.press("Enter")
    told = page.get_by_text("East gate has its place.")
    await expect(told).to_be_visible()
    await expect(page.get_by_role("application")).to_be_focused()
    await page.keyboard.press("Shift+ArrowLeft")
    await page.keyboard.press("]")
    await expect(page.get_by_text("looks to 5°")).to_be_visible()
    await expect(told).to_be_visible()
    assert await axe_violations(page) == []
    await page.get_by_role("link", name="Open the camera").click()
    await expect(page.get_by_role("img", name="On the plan ground floor")).to_be_visible()


async def test_a_camera_is_found_added_set_and_recorded(
    site: Site, browser: Browser, tmp_path: Path
) -> None:
    """With a wrong password first; placed; an encoder takes what is asked; the plan is stored."""
    page = await site.page(browser, "admin", "/cameras")
    await _find_and_add(page, site.camera)
    Image.new("RGB", (800, 500), "white").save(tmp_path / "ground_floor.png")
    await _put_on_a_plan(page, tmp_path / "ground_floor.png")

    sub = page.get_by_role("form", name="Sub-stream")
    await expect(sub).to_be_visible(timeout=15_000)
    rate = sub.get_by_label("Bit rate in kbit/s")
    before = int(await rate.input_value())
    wanted = 300 if before != 300 else 400
    await rate.fill(str(wanted))
    await sub.get_by_role("button", name="Set in the camera").click()
    await expect(sub.get_by_text("The camera has taken it as asked.")).to_be_visible(timeout=15_000)
    assert wanted in [one.bitrate_kbps for one in site.camera.onvif.profiles]

    await page.get_by_text("On events").click()
    await page.get_by_label("Seconds before").fill("5")
    await page.get_by_role("button", name="Save recording").click()
    await expect(page.get_by_text("Recorded when something happens.")).to_be_visible()
    assert await axe_violations(page) == []
    async with signed_in(site.url, Login("admin", PASSWORD, "", "")) as client:
        camera = (await client.get("/cameras")).json()["items"][0]
    assert (camera["recording"]["mode"], camera["recording"]["pre_s"]) == ("event", 5)
    assert (camera["plan_x"] < 0.5, camera["plan_y"], camera["heading"]) == (True, 0.5, 5)
    await page.context.close()


async def test_a_camera_is_watched_and_turned_by_keyboard(site: Site, browser: Browser) -> None:
    """Held is moving, longer than one lease; let go is stopped; a place is remembered."""
    page = await site.page(browser, "chief", "/cameras")
    await page.get_by_role("link", name="East gate", exact=True).click()

    async def plays() -> bool:
        return bool(await page.evaluate(PLAYING))

    await until(plays, timeout=30)
    head = site.camera.onvif.ptz
    await page.get_by_role("button", name="Right", exact=True).focus()
    await page.keyboard.down("ArrowRight")
    await expect(page.get_by_text("Moving: Right")).to_be_visible()
    # At half speed this takes longer than the two seconds that one request lasts.
    await until(lambda: head.place.pan > 0.6, timeout=15)
    assert head.moving == (True, False)
    await page.keyboard.up("ArrowRight")
    await until(lambda: head.moving == (False, False), timeout=5)
    assert head.place.pan < 1.0

    await page.keyboard.down("+")
    await until(lambda: head.place.zoom > 0.1, timeout=10)
    # Whoever goes elsewhere lets go.
    await page.get_by_role("button", name="Remember this position").focus()
    await page.evaluate("window.dispatchEvent(new Event('blur'))")
    await until(lambda: head.moving == (False, False), timeout=5)
    await page.keyboard.up("+")

    await page.get_by_role("button", name="Remember this position").click()
    await page.get_by_label("Name of the position").fill("Gate")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("button", name="Gate", exact=True)).to_be_visible()
    assert [name for name, _ in head.presets.values()] == ["Gate"]
    await page.get_by_role("button", name="Change positions").click()
    await page.get_by_role("button", name="Remove Gate").click()
    await page.get_by_role("button", name="Yes, remove Gate").click()
    await until(lambda: not head.presets, timeout=10)
    assert await axe_violations(page) == []
    await page.context.close()
