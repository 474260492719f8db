"""Who may look and who looked, as residents, duty desk and passers-by see it in a real browser."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from app.cli.demo import demo_settings
from app.demo import Demo, Login, running_demo, signed_in
from app.demo_home import AREA
from tests.scenarios.conftest import axe_violations, sign_in
from tests.support.waiting import until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(180),
]

FIRST_PASSWORD = "given by the administrator"
OWN_PASSWORD = "known to nobody else at all"
PEOPLE = {
    "wang.guilan": ("resident", "Wang Guilan"),
    "li.wei": ("resident", "Li Wei"),
    "second": ("supervisor", "Second Supervisor"),
}
HOUSEHOLD = "Building 3, flat 502"
LIVING_ROOM = "Living room"
LOADING = re.compile("^(Loading…|正在加载…)$")


@dataclass
class House:
    """A running demo in which one camera belongs to Wang Guilan's household."""

    demo: Demo
    logins: dict[str, Login]
    camera_id: str
    incident_id: str

    def login(self, name: str) -> Login:
        """Return the account `name`, of this house or of the demo."""
        return self.logins.get(name) or self.demo.login(name)


async def _make_people(demo: Demo, admin: httpx.AsyncClient) -> dict[str, Login]:
    """Make the accounts and let each choose a password that only it knows."""
    logins = {}
    for username, (role, name) in PEOPLE.items():
        body = {
            "username": username,
            "display_name": name,
            "password": FIRST_PASSWORD,
            "roles": [{"role": role, "area": AREA if role == "resident" else ""}],
            "locale": "en",
        }
        assert (await admin.post("/accounts", json=body)).status_code == 201
        async with signed_in(demo.url, Login(username, FIRST_PASSWORD, role, "")) as person:
            own = {"current": FIRST_PASSWORD, "new": OWN_PASSWORD}
            assert (await person.put("/accounts/me/password", json=own)).is_success
        logins[username] = Login(username, OWN_PASSWORD, role, "")
    return logins


async def _make_home(admin: httpx.AsyncClient, camera: dict[str, object]) -> None:
    """Give `camera` to a household whose first member is Wang Guilan."""
    made = await admin.post("/households", json={"name": HOUSEHOLD, "area": AREA})
    household = made.json()["id"]
    let_in = await admin.post(f"/households/{household}/members", json={"username": "wang.guilan"})
    assert let_in.is_success
    change = {
        "version": camera["version"],
        "name": LIVING_ROOM,
        "place_kind": "home",
        "place_type": "home_interior",
        "household_id": household,
    }
    changed = await admin.patch(f"/cameras/{camera['id']}", json=change)
    assert changed.is_success, changed.text


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """Two virtual cameras: a lobby with an incident, and a living room."""
    settings = demo_settings(tmp_path_factory.mktemp("trust") / "data", port=0)
    async with running_demo(settings, None, 2, print) as demo:
        async with signed_in(demo.url, demo.login("admin")) as admin:
            logins = await _make_people(demo, admin)
            lobby, room = (await admin.get("/cameras")).json()["items"]
            await _make_home(admin, room)
        async with signed_in(demo.url, demo.login("supervisor")) as supervisor:

            async def incident() -> str | None:
                items = (await supervisor.get("/incidents?state=all")).json()["items"]
                found = [i["id"] for i in items if i["camera_id"] == lobby["id"] and i["snapshot"]]
                return found[0] if found else None

            incident_id = await until(incident, timeout=60)
        # Enough was detected; the cores are for the browser.
        async with signed_in(demo.url, demo.login("admin")) as admin:
            for camera in (await admin.get("/cameras")).json()["items"]:
                change = {"version": camera["version"], "analyse": False}
                assert (await admin.patch(f"/cameras/{camera['id']}", json=change)).is_success
        yield House(demo, logins, room["id"], incident_id)


async def _page(browser: Browser, house: House, name: str, path: str) -> Page:
    """A page of a browser of its own, signed in as `name`."""
    context = await browser.new_context(
        locale="en-US", viewport={"width": 1280, "height": 1000}, reduced_motion="reduce"
    )
    page = await context.new_page()
    await sign_in(page, house.demo, house.login(name), path)
    return page


async def _shows_pictures(page: Page) -> bool:
    return bool(
        await page.evaluate("[...document.querySelectorAll('video')].some(v => v.videoWidth > 0)")
    )


async def test_a_withdrawn_share_cuts_the_running_picture_and_the_viewing_is_told(
    house: House, browser: Browser
) -> None:
    """Shared by a form, seen by the guest, stopped by one press, and found under who looked."""
    resident = await _page(browser, house, "wang.guilan", "/home")
    await expect(resident.get_by_text("Only your household")).to_be_visible()
    await resident.get_by_role("button", name="Let somebody look").click()
    dialog = resident.get_by_role("dialog")
    await dialog.get_by_role("button", name="Allow").click()
    # Without a name and a reason nothing is shared, and the form says what is missing.
    await expect(dialog.get_by_role("alert")).to_have_count(2)
    await dialog.get_by_label("Who? Their user name").fill("li.wei")
    await dialog.get_by_label("Clear").check()
    await dialog.get_by_label("What for?").fill("Looks after grandmother")
    await dialog.get_by_role("button", name="Allow").click()
    await expect(dialog).to_be_hidden()
    await expect(resident.get_by_text(re.compile("Until .*: Li Wei"))).to_be_visible()

    guest = await _page(browser, house, "li.wei", "/home")
    await expect(guest.get_by_role("heading", name=LIVING_ROOM)).to_be_visible()
    await until(lambda: _shows_pictures(guest), timeout=30)

    await resident.get_by_role("button", name="Stop sharing with Li Wei").click()
    await expect(resident.get_by_text("Only your household")).to_be_visible()
    await until(lambda: _dark(guest), timeout=5)
    await expect(guest.get_by_role("heading", name=LIVING_ROOM)).to_be_hidden(timeout=10_000)

    await resident.goto(f"{house.demo.url}/home/viewings")
    line = resident.locator("li.viewing").filter(has_text="Li Wei")
    await expect(line).to_contain_text("Invited by a household")
    await expect(line).to_contain_text("Live video")
    await expect(line).not_to_contain_text("still running")
    await guest.context.close()
    await resident.context.close()


async def _dark(page: Page) -> bool:
    return not await _shows_pictures(page)


async def test_a_resident_switches_the_camera_off_and_agrees_to_be_seen_in_an_alarm(
    house: House, browser: Browser
) -> None:
    """Both switches do what stands beside them, and nobody may look because of either."""
    page = await _page(browser, house, "wang.guilan", "/home")
    camera = page.get_by_role("switch", name=re.compile("^Camera"))
    await expect(camera).to_have_attribute("aria-checked", "true")
    await camera.click()
    await expect(page.get_by_text("This camera is switched off.")).to_be_visible()
    await camera.click()
    await expect(camera).to_have_attribute("aria-checked", "true")
    alarm = page.get_by_role("switch", name=re.compile("^Open when I call for help"))
    await alarm.click()
    await expect(alarm).to_have_attribute("aria-checked", "true")
    await expect(page.get_by_text("Only your household")).to_be_visible()
    await alarm.click()
    await expect(alarm).to_have_attribute("aria-checked", "false")
    await page.context.close()


async def test_pictures_leave_only_by_two_people(house: House, browser: Browser) -> None:
    """One asks on the incident's page, finds no way to approve it, another approves."""
    asking = await _page(browser, house, "supervisor", f"/incidents/{house.incident_id}")
    await asking.get_by_role("button", name="Hand out pictures").click()
    dialog = asking.get_by_role("dialog")
    await dialog.get_by_label("Reason").fill("The police station asks for it")
    await dialog.get_by_role("button", name="Ask for approval").click()
    await expect(dialog.get_by_text("waits for a second person")).to_be_visible()
    await dialog.get_by_role("link", name="To the exports").click()
    card = asking.locator("article.export")
    await expect(card).to_contain_text("somebody else must decide")
    await expect(asking.get_by_role("button", name="Approve")).to_have_count(0)

    deciding = await _page(browser, house, "second", "/exports")
    await deciding.get_by_role("button", name="Approve").click()
    await deciding.get_by_role("dialog").get_by_role("button", name="Approve").click()
    await expect(deciding.get_by_role("dialog")).to_be_hidden()

    link = asking.get_by_role("link", name="Download the file")
    await link.wait_for(timeout=30_000)
    file = await asking.context.request.get(f"{house.demo.url}{await link.get_attribute('href')}")
    assert file.ok
    assert (await file.body())[:2] == b"PK"
    await asking.context.close()
    await deciding.context.close()


async def test_the_public_page_needs_no_account_and_names_no_home(
    house: House, context: BrowserContext
) -> None:
    """Reached from the sign-in page; no script fails, and nothing is asked for in vain."""
    page = await context.new_page()
    await page.goto(house.demo.url)
    await page.locator("input[type=password]").wait_for()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("requestfailed", lambda request: troubles.append(request.url))
    await page.get_by_role("link", name=re.compile("Which cameras are here")).click()
    await expect(page.get_by_role("table").last).to_contain_text("Lobby")
    text = await page.locator("body").inner_text()
    assert LIVING_ROOM not in text
    assert HOUSEHOLD not in text
    assert troubles == []


async def test_every_page_of_trust_is_accessible(house: House, browser: Browser) -> None:
    """axe finds nothing on any of them: wide and light in English, dark on a phone in Chinese."""
    pages = {
        "": ("/transparency",),
        "wang.guilan": ("/home", "/home/viewings", "/home/digest/2026-11"),
        "admin": ("/households", "/cameras/new", f"/cameras/{house.camera_id}"),
        "supervisor": ("/exports", "/seals"),
        "auditor": ("/ledger", "/view-records"),
    }
    found = {}
    for name, paths in pages.items():
        context = await browser.new_context(locale="en-US", reduced_motion="reduce")
        page = await context.new_page()
        if name:
            await sign_in(page, house.demo, house.login(name))
        else:
            await page.goto(f"{house.demo.url}/transparency")
        for language, scheme, width in (("en", "light", 1280), ("zh-CN", "dark", 390)):
            await page.set_viewport_size({"width": width, "height": 900})
            await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            await page.evaluate(f"localStorage.setItem('camera-hub.language', '{language}')")
            for path in paths:
                await page.goto(f"{house.demo.url}{path}")
                await page.locator("h1").first.wait_for()
                await expect(page.locator("html")).to_have_attribute("lang", language)
                await expect(page.get_by_text(LOADING)).to_have_count(0)
                found[f"{path} {language}"] = await axe_violations(page)
        await context.close()
    assert {path: violations for path, violations in found.items() if violations} == {}
