"""The closed loop as duty desk, patrol and supervisors work it, in a real browser."""

import io
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import Browser, FilePayload, Locator, Page, expect

from tests.scenarios.conftest import axe_violations
from tests.scenarios.loop_house import HOUSEHOLD, SECRET, House, running_house
from tests.support.stores import create_tables
from tests.support.waiting import until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
]

PHONE = {"width": 390, "height": 844}
FIRE = f"Fire alarm: {HOUSEHOLD}"
COUNT_TONES = """() => {
  window.tones = 0
  const start = OscillatorNode.prototype.start
  OscillatorNode.prototype.start = function (...when) {
    window.tones += 1
    return start.apply(this, when)
  }
}"""
POLICIES = """
policies:
  - id: fires
    match: {kinds: [alarm_fire, alarm_medical]}
    triage: skip
    steps:
      - {after_s: 0, targets: [duty, patrol], channels: [sms]}
      - {after_s: 600, targets: [supervisor+1], channels: [sms], whistle: true}
    verifier: other
    result_photos: 1
    limits: {archive_s: 1}
  - id: others
    steps:
      - {after_s: 0, targets: [duty], channels: []}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A hub with an SMS gateway and policies that are quick to follow."""
    directory = tmp_path_factory.mktemp("loop")
    url = f"sqlite+aiosqlite:///{directory / 'hub.db'}"
    await create_tables(url)
    async with running_house(directory / "data", url) as running:
        async with running.client("admin") as admin:
            gateway = {
                "channel": "sms",
                "name": "SMS",
                "kind": "http",
                "url": running.provider.url,
                "secret": SECRET,
                "locale": "en",
            }
            assert (await admin.post("/gateways", json=gateway)).is_success
            known = (await admin.get("/dispatch-policies")).json()
            body = {"version": known["version"], "text": POLICIES}
            assert (await admin.put("/dispatch-policies", json=body)).is_success
        async with running.client("duty") as duty:
            number = {"channel": "sms", "address": "+8613800000001"}
            made = await duty.post("/account/contact-points", json=number)
            code = await until(running.provider.code)
            way = f"/account/contact-points/{made.json()['id']}/verify"
            assert (await duty.post(way, json={"code": code})).is_success
        running.provider.messages.clear()
        yield running


def _photo() -> bytes:
    picture = io.BytesIO()
    Image.new("RGB", (640, 480), "seagreen").save(picture, "JPEG")
    return picture.getvalue()


def _file(name: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": "image/jpeg", "buffer": content}


async def _state(house: House, incident_id: str) -> str:
    async with house.client("chief") as chief:
        return str((await chief.get(f"/incidents/{incident_id}")).json()["state"])


def _line(page: Page, headline: str) -> Locator:
    return page.locator("[data-incident]").filter(has_text=headline)


async def test_the_own_number_is_proved_by_a_code(house: House, browser: Browser) -> None:
    """Added on the own account's page; what is typed wrong is said, and nothing else is used."""
    page = await house.page(browser, "deputy", "/account")
    await page.get_by_role("button", name="Add an address").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("SMS").check()
    await dialog.get_by_label("Phone number").fill("no number")
    await dialog.get_by_role("button", name="Send me a code").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("country code")
    await dialog.get_by_label("Phone number").fill("+86 138 0000 0002")
    await dialog.get_by_role("button", name="Send me a code").click()
    code = await until(house.provider.code)
    await page.get_by_label("Code", exact=True).fill(code)
    await page.get_by_role("button", name="Check").click()
    way = page.locator("li").filter(has_text="SMS")
    await expect(way).to_contain_text("proved")
    await expect(way).not_to_contain_text("not proved")
    assert await axe_violations(page) == []
    await page.context.close()


async def test_from_a_press_to_the_archive(house: House, browser: Browser) -> None:
    """Rings in the queue; acknowledged by a key; dispatched; dealt with on a phone; checked."""
    for number in range(3):
        await house.report(f"Lamp {number} is broken")
    desk = await house.page(browser, "duty", "/queue")
    await expect(_line(desk, "Lamp 0")).to_be_visible()
    await desk.evaluate(COUNT_TONES)
    await desk.get_by_role("button", name="Enable sound").last.click()
    quiet = await desk.evaluate("window.tones")

    receipt = await house.press("fire")
    alarm = desk.locator("[data-incident]").first
    await expect(alarm).to_contain_text(FIRE)
    await expect(alarm).to_contain_text("Somebody pressed for help")

    async def rings() -> bool:
        return bool(int(await desk.evaluate("window.tones")) > quiet)

    await until(rings)
    # Keys act on what stood still long enough to be read.
    await desk.locator("h1").click()

    async def acknowledged() -> bool:
        await desk.keyboard.press("a")
        return bool(await alarm.get_by_text("Acknowledged by Duty desk").is_visible())

    await until(acknowledged, every=0.3)
    link = alarm.locator("h2 a")

    async def on_top() -> bool:
        await desk.keyboard.press("k")
        return bool(await link.evaluate("link => link === document.activeElement"))

    await until(on_top)
    await desk.keyboard.press("Enter")
    await expect(desk.get_by_role("heading", name=FIRE, level=1)).to_be_visible()

    told = desk.locator("section").filter(has=desk.get_by_role("heading", name="Who was told"))
    people = told.locator(".people > li")
    await expect(people.filter(has_text="Duty desk")).to_contain_text("sent")
    await expect(people.filter(has_text="Zhou Patrol")).to_contain_text(
        "has not said how to be told"
    )
    await desk.get_by_role("button", name="Dispatch", exact=True).click()
    dialog = desk.get_by_role("dialog")
    await dialog.get_by_role("button", name="Dispatch").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("Choose a department or a person")
    await dialog.get_by_label("Person").select_option(label="Zhou Patrol · patrol")
    await dialog.get_by_role("button", name="Dispatch").click()
    await expect(dialog).to_be_hidden()
    await expect(desk.get_by_text("Waits for Zhou Patrol to start")).to_be_visible()

    await _deal_with_it_on_a_phone(house, browser)
    await _check_it(house, browser, desk, receipt["incident_id"])
    await desk.context.close()


async def _deal_with_it_on_a_phone(house: House, browser: Browser) -> None:
    phone = await house.page(browser, "walker", "/", viewport=PHONE, has_touch=True)
    await expect(phone.get_by_role("heading", name="My tasks", level=1)).to_be_visible()
    task = phone.locator("article").filter(has_text=FIRE)
    await task.get_by_role("button", name="10 min").tap()
    await expect(task.get_by_role("status")).to_contain_text("On the way")
    await task.get_by_role("button", name="I have arrived").tap()
    await expect(task.get_by_role("status")).to_contain_text("On the spot")
    assert await axe_violations(phone) == []
    await task.get_by_role("button", name="It is done").tap()
    await task.get_by_label("What was found and done").fill("Pan on the stove, put out.")

    # A lost connection takes no words away.
    await phone.context.set_offline(True)
    await expect(phone.get_by_text("No connection.")).to_be_visible()
    await phone.context.set_offline(False)
    await phone.reload()
    note = task.get_by_label("What was found and done")
    await expect(note).to_have_value("Pan on the stove, put out.")

    await expect(task).to_contain_text("1 more needed")
    async with phone.expect_file_chooser() as chooser:
        await task.get_by_role("button", name="Choose photos").tap()
    await (await chooser.value).set_files(_file("not.jpg", b"no picture"))
    await expect(task.get_by_role("alert")).to_contain_text("Not saved")
    await task.get_by_role("button", name="Remove photo 1").tap()
    async with phone.expect_file_chooser() as chooser:
        await task.get_by_role("button", name="Choose photos").tap()
    await (await chooser.value).set_files(_file("result.jpg", _photo()))
    await expect(task.get_by_text("1 saved")).to_be_visible()
    await task.get_by_role("button", name="Send the report").tap()
    await expect(task).to_be_hidden()
    await phone.context.close()


async def _check_it(house: House, browser: Browser, desk: Page, incident_id: str) -> None:
    await expect(desk.get_by_text("Waits for the result to be checked")).to_be_visible()
    handler = await house.page(browser, "walker", f"/incidents/{incident_id}")
    await expect(handler.get_by_text("Somebody else has to check the result")).to_be_visible()
    await handler.context.close()
    async with house.client("walker") as walker:
        version = (await walker.get(f"/incidents/{incident_id}")).json()["version"]
        body = {"version": version, "passed": True, "note": "x", "resolution": "handled"}
        refused = await walker.post(f"/incidents/{incident_id}/verify", json=body)
        assert refused.status_code in {403, 409}, refused.text

    deputy = await house.page(browser, "deputy", f"/incidents/{incident_id}")
    await deputy.get_by_role("button", name="Check the result").click()
    dialog = deputy.get_by_role("dialog")
    await dialog.get_by_label("Handled").check()
    await dialog.get_by_label("Note (required)").fill("Seen the photo.")
    # Somebody writes meanwhile: what was typed stays, and what happened is told.
    async with house.client("duty") as duty:
        version = (await duty.get(f"/incidents/{incident_id}")).json()["version"]
        body = {
            "version": version,
            "passed": False,
            "note": "Smoke again.",
            "resolution": "handled",
        }
        assert (await duty.post(f"/incidents/{incident_id}/verify", json=body)).is_success
    await dialog.get_by_role("button", name="Save the result").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("Smoke again.")
    await expect(dialog.get_by_label("Note (required)")).to_have_value("Seen the photo.")
    assert await axe_violations(deputy) == []
    await dialog.get_by_role("button", name="Cancel").click()
    async with house.client("walker") as walker:
        version = (await walker.get(f"/incidents/{incident_id}")).json()["version"]
        body = {"version": version, "note": "Looked again: cold."}
        assert (await walker.post(f"/incidents/{incident_id}/feedback", json=body)).is_success
    await deputy.get_by_role("button", name="Check the result").click()
    await dialog.get_by_label("Handled").check()
    await dialog.get_by_label("Note (required)").fill("Seen the photo.")
    await dialog.get_by_role("button", name="Save the result").click()
    await expect(dialog).to_be_hidden()
    await expect(deputy.get_by_text("Archived; nothing more is to be done")).to_be_visible(
        timeout=15_000
    )
    await expect(deputy.get_by_role("img", name="Photo 1")).to_be_visible()
    assert await _state(house, incident_id) == "archived"
    await deputy.context.close()


async def test_two_reports_become_one_and_two_again(house: House, browser: Browser) -> None:
    """Merged and taken apart through the menu; what rests is folded away and comes back."""
    first = await house.report("Manhole cover broken at gate 2")
    second = await house.report("Hole in the road near gate 2")
    page = await house.page(browser, "duty", f"/incidents/{second}")
    await page.get_by_role("button", name="More").click()
    await page.get_by_role("button", name="Merge", exact=True).click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Search").fill("manhole")
    await dialog.get_by_label("Manhole cover broken").check()
    await dialog.get_by_label("Reason (required)").fill("The same hole.")
    await dialog.get_by_role("button", name="Merge").click()
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_text("Merged into")).to_be_visible()
    assert await _state(house, second) == "merged"
    await page.get_by_role("button", name="Undo the merge").click()
    await dialog.get_by_label("Reason (required)").fill("Two holes after all.")
    await dialog.get_by_role("button", name="Undo the merge").click()
    await expect(dialog).to_be_hidden()
    assert await _state(house, second) == "reported"

    await page.goto(f"{house.url}/incidents/{first}")
    await page.get_by_role("button", name="Start handling").click()
    await expect(page.get_by_text("Being handled by Duty desk")).to_be_visible()
    await page.get_by_role("button", name="More").click()
    await page.get_by_role("button", name="Suspend", exact=True).click()
    await dialog.get_by_label("For how long").select_option(label="24 h")
    await dialog.get_by_label("Reason (required)").fill("The cover is ordered.")
    await dialog.get_by_role("button", name="Suspend").click()
    await expect(page.get_by_text("Suspended; goes on by itself")).to_be_visible()
    await page.goto(f"{house.url}/queue")
    await page.get_by_text("Suspended (1)").click()
    await expect(page.locator("details").get_by_text("Manhole cover broken")).to_be_visible()
    await page.goto(f"{house.url}/incidents/{first}")
    await page.get_by_role("button", name="Resume").click()
    await expect(page.get_by_text("Being handled by Duty desk")).to_be_visible()
    await page.context.close()


async def test_the_link_in_a_message_acknowledges_and_opening_it_does_not(
    house: House, browser: Browser
) -> None:
    """Without signing in; a phone's preview changes nothing; afterwards the page says so."""
    before = len(house.provider.links())
    receipt = await house.press("medical")
    links = await until(lambda: house.provider.links()[before:])
    context = await browser.new_context(
        locale="en-US", viewport={"width": 320, "height": 700}, reduced_motion="reduce"
    )
    page = await context.new_page()
    await page.goto(links[0])
    await expect(page.get_by_role("button", name="I have seen it")).to_be_visible()
    assert await axe_violations(page) == []
    async with house.client("duty") as duty:
        seen = (await duty.get(f"/incidents/{receipt['incident_id']}")).json()
        assert seen["acknowledged_at"] is None
    await page.get_by_role("button", name="10 min").click()
    await expect(page.get_by_text("Your answer: on the way")).to_be_visible()
    async with house.client("duty") as duty:
        after = (await duty.get(f"/incidents/{receipt['incident_id']}")).json()
    assert after["acknowledged_by"]["display_name"] == "Duty desk"
    assert after["progress"] == "going"
    assert await page.evaluate("document.documentElement.scrollWidth") <= 320

    await page.goto(f"{house.url}/a/{'x' * 27}")
    await expect(page.get_by_role("heading", name="This link leads nowhere")).to_be_visible()
    await context.close()


async def test_every_page_of_the_loop_is_accessible(house: House, browser: Browser) -> None:
    """axe finds nothing: wide and light in English, dark on a phone in Chinese."""
    receipt = await house.press("security", status="Exercise")
    page = await house.page(browser, "duty", "/queue")
    found = {}
    for language, scheme, width in (("en", "light", 1280), ("zh-CN", "dark", 390)):
        await page.set_viewport_size({"width": width, "height": 900})
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        await page.evaluate(f"localStorage.setItem('camera-hub.language', '{language}')")
        for path in ("/queue", f"/incidents/{receipt['incident_id']}", "/tasks", "/account"):
            await page.goto(f"{house.url}{path}")
            await page.locator("h1").first.wait_for()
            await expect(page.get_by_text(re.compile("^(Loading…|正在加载…)$"))).to_have_count(0)
            found[f"{path} {language}"] = await axe_violations(page)
            assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert {path: violations for path, violations in found.items() if violations} == {}
    await page.context.close()
