"""A site is set up in a real browser: areas, rota, policies, gateway, devices and contacts."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, ViewportSize, expect

from access.policy.types import Role, RoleBinding
from tests.scenarios.conftest import axe_violations
from tests.scenarios.loop_house import AREA, HOUSEHOLD, House, running_house
from tests.support.http import password_hash
from tests.support.stores import create_tables
from tests.support.waiting import until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
]

PHONE: ViewportSize = {"width": 390, "height": 844}
CONSENT = re.compile(r"https?://\S+/contact/\S+")
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A hub with nothing set up: people with roles, and a household with one member."""
    directory = tmp_path_factory.mktemp("set-up")
    url = f"sqlite+aiosqlite:///{directory / 'hub.db'}"
    await create_tables(url)
    async with running_house(directory / "data", url) as running:
        hub = running.hub
        async with hub.database.transaction() as session:
            for username, role, name, area in (
                ("second", Role.DUTY_STAFF, "Li Wei", "demo/riverside"),
                ("resident", Role.RESIDENT, "Chen Jing", AREA),
            ):
                account = await hub.accounts.create(
                    session,
                    username=username,
                    display_name=name,
                    password=password_hash(),
                    roles=[RoleBinding(role, area)],
                    locale="en",
                )
                running.account_ids[username] = account.id
            home = await hub.households.get(session, running.household_id)
            await hub.households.add_member(session, None, home, username="resident", cameras=0)
        yield running


async def _add_area(page: Page, button: str, name: str, slug: str) -> None:
    await page.get_by_role("button", name=button).click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name", exact=True).fill(name)
    await dialog.get_by_label("Short form").fill(slug)
    await dialog.get_by_role("button", name="Add", exact=True).click()
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_role("treeitem", name=name)).to_have_attribute("aria-selected", "true")


async def test_areas_and_a_department_are_made_and_what_is_in_use_stays(
    house: House, browser: Browser
) -> None:
    """The tree is walked by keyboard; an area that is used says by what and is not closed."""
    page = await house.page(browser, "admin", "/areas")
    await expect(page.get_by_role("heading", name="No areas yet")).to_be_visible()
    await _add_area(page, "Add an area at the top", "Demo County", "demo")
    await _add_area(page, "Add an area below", "Riverside Township", "riverside")
    await _add_area(page, "Add an area below", "Jade Garden", "jade-garden")
    jade = page.get_by_role("treeitem", name="Jade Garden")
    await expect(jade).to_contain_text("Community")
    await jade.focus()
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("ArrowLeft")
    riverside = page.get_by_role("treeitem", name="Riverside Township")
    await expect(riverside).to_be_focused()
    await expect(riverside).to_have_attribute("aria-expanded", "false")
    await expect(jade).to_have_count(0)
    await page.keyboard.press("ArrowRight")
    await expect(jade).to_be_visible()

    await page.get_by_role("button", name="Add a department").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name", exact=True).fill("Roads and lights")
    await dialog.get_by_label("Road keeper").check()
    await dialog.get_by_role("button", name="Add", exact=True).click()
    await expect(page.locator("li.department")).to_contain_text("Road keeper")

    await page.get_by_role("button", name="Close", exact=True).click()
    await dialog.get_by_role("button", name="Close the area").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("1 department Roads")
    await expect(dialog.get_by_role("alert")).to_contain_text("Roads and lights")
    assert await axe_violations(page) == []
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(riverside).to_be_visible()
    await page.context.close()


async def _add_shift(page: Page, day: str, person: str, hours: tuple[str, str]) -> Locator:
    await page.get_by_role("button", name=f"Add a shift on {day}").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Who").select_option(label=person)
    await dialog.get_by_label("From").fill(hours[0])
    await dialog.get_by_label("To", exact=True).fill(hours[1])
    for other in DAYS:
        await dialog.get_by_label(other).check()
    return dialog


async def test_a_rota_with_an_override_and_a_hand_over_that_both_confirm(
    house: House, browser: Browser
) -> None:
    """Gaps are shown until somebody fills them, and who has the post changes when both agree."""
    chief = await house.page(browser, "chief", "/duty")
    await chief.get_by_role("button", name="Add a rota").click()
    dialog = chief.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("Front desk")
    await dialog.get_by_label("Area").select_option("demo/riverside")
    await dialog.get_by_role("button", name="Save").click()
    await expect(chief.get_by_text("00:00–24:00 on every day")).to_be_visible()
    dialog = await _add_shift(chief, "Mon", "Duty desk", ("08:00", "04:00"))
    await expect(dialog.get_by_role("status")).to_contain_text("next day")
    await dialog.get_by_role("button", name="OK").click()
    await expect(chief.get_by_text("04:00–08:00 on every day")).to_be_visible()
    dialog = await _add_shift(chief, "Sun", "Duty desk", ("04:00", "08:00"))
    await dialog.get_by_role("button", name="OK").click()
    await expect(chief.get_by_text("Somebody is on duty at every hour")).to_be_visible()
    await chief.get_by_role("button", name="Save the rota").click()
    now = chief.locator("section.card li").filter(has_text="Duty staff")
    await expect(now.locator(".who")).to_have_text("Duty desk")
    assert await axe_violations(chief) == []

    desk = await house.page(browser, "duty", "/duty", viewport=PHONE)
    await desk.get_by_role("button", name="Hand over", exact=True).click()
    dialog = desk.get_by_role("dialog")
    await dialog.get_by_role("button", name="I hand over").click()
    await expect(dialog.get_by_role("alert")).to_have_count(2)
    await dialog.get_by_label("To whom").select_option(label="Li Wei")
    await dialog.get_by_label("What the next has to know").fill("The lift of building 3 is out.")
    await dialog.get_by_role("button", name="I hand over").click()
    card = desk.locator("article.hand")
    await expect(card).to_contain_text("Li Wei takes over not confirmed yet")
    await expect(card).to_contain_text("both are on duty")
    width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await desk.evaluate(width) == 0

    second = await house.page(browser, "second", "/duty")
    await expect(second.locator("article.hand")).to_contain_text("The lift of building 3 is out.")
    await expect(second.locator(".who").first).to_have_text("Duty desk, Li Wei")
    await second.get_by_role("button", name="I take over").click()
    await expect(second.get_by_role("heading", name="Hand-overs of late")).to_be_visible()
    await expect(second.locator(".who").first).to_have_text("Li Wei")

    await chief.reload()
    await chief.get_by_role("button", name="Somebody instead").click()
    dialog = chief.get_by_role("dialog")
    await dialog.get_by_label("Who is ill or away").select_option(label="Duty desk")
    await dialog.get_by_label("Who is on duty instead").select_option(label="Li Wei")
    await dialog.get_by_label("Why").fill("Ill")
    await dialog.get_by_role("button", name="Save").click()
    await expect(chief.locator("li.override")).to_contain_text("Li Wei instead of Duty desk")
    for page in (chief, desk, second):
        await page.context.close()


async def test_policies_are_edited_as_text_and_tried_before_they_are_saved(
    house: House, browser: Browser
) -> None:
    """A fault names its line; the dry run tells by name who is on duty; a conflict is shown."""
    page = await house.page(browser, "admin", "/policies")
    await expect(page.get_by_text("At once: the household's contacts")).not_to_have_count(0)
    await page.get_by_role("button", name="YAML").click()
    text = page.get_by_label("Policies as YAML")
    good = (
        "policies:\n"
        "  - id: everything\n"
        "    name: Everything\n"
        "    steps:\n"
        "      - {after_s: 0, targets: [duty], channels: [push]}\n"
    )
    await text.fill(good.replace("[duty]", "[dutty]"))
    fault = page.locator(".faults li")
    await expect(fault).to_contain_text("Line 5")
    await expect(fault).to_contain_text("duty")
    await expect(page.get_by_role("button", name="Save")).to_be_disabled()
    assert await axe_violations(page) == []
    await text.fill(good)
    await expect(page.get_by_text("This text can be used.")).to_be_visible()
    await page.get_by_label("Where").select_option("demo/riverside")
    await page.get_by_role("button", name="Show who would be told").click()
    told = page.locator("ol.line > li").first
    await expect(told).to_contain_text("At once")
    # Whoever is on duty after the hand-over and the override, and nobody else.
    await expect(told).to_contain_text("Li Wei")
    await expect(told).not_to_contain_text("Duty desk")

    async with house.client("admin") as other:
        known = (await other.get("/dispatch-policies")).json()
        theirs = {"version": known["version"], "text": good.replace("Everything", "Of another")}
        assert (await other.put("/dispatch-policies", json=theirs)).is_success
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("alert")).to_contain_text("has saved version")
    await page.get_by_role("button", name="Save mine over it").click()
    await expect(page.get_by_text("saved by Administrator")).to_be_visible()
    await page.get_by_role("button", name="In words").click()
    card = page.locator("article.policy")
    await expect(card).to_have_count(1)
    await expect(card).to_contain_text("At once: duty staff by push.")

    await card.get_by_role("button", name="Edit Everything").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Add a step").click()
    second = dialog.get_by_role("group", name="Step 2", exact=True)
    await second.get_by_label("SMS").check()
    await second.get_by_label("Whistle").check()
    assert await axe_violations(page) == []
    await dialog.get_by_role("button", name="OK").click()
    await page.get_by_role("button", name="Save").click()
    await expect(card).to_contain_text("After 30 seconds: duty staff by push and SMS; whistles")
    await expect(page.get_by_text("Changes that are not saved", exact=True)).to_be_hidden()
    async with house.client("admin") as other:
        saved = (await other.get("/dispatch-policies")).json()["policies"]
    assert [step["after_s"] for step in saved[0]["steps"]] == [0, 30]
    await page.context.close()


async def test_a_gateway_is_added_tested_and_never_shown_again(
    house: House, browser: Browser
) -> None:
    """The test message reaches the provider; its address and secret stand nowhere afterwards."""
    page = await house.page(browser, "admin", "/channels")
    await page.get_by_role("button", name="Add a gateway").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("What it carries").select_option("sms")
    await dialog.get_by_role("textbox", name="Name", exact=True).fill("Short messages")
    await dialog.get_by_label("Address", exact=True).fill(house.provider.url)
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog.get_by_label("Signing secret")).to_have_value(re.compile("^whsec_"))
    await dialog.get_by_role("button", name="I have stored it").click()
    card = page.locator("li.hook")
    await expect(card).to_contain_text("never tried")
    assert "/sms" not in await card.inner_text()
    await card.get_by_role("button", name="Test Short messages").click()
    await page.get_by_label("Send a test to this number").fill("+86 138 0000 0009")
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(card.get_by_role("status")).to_contain_text("has taken the test")
    assert house.provider.messages[-1]["to"].replace(" ", "") == "+8613800000009"
    await expect(card).to_contain_text("running")

    await page.get_by_role("button", name="Add a webhook").click()
    await dialog.get_by_label("Name").fill("City platform")
    await dialog.get_by_label("Address").fill(house.provider.url)
    await dialog.get_by_label("Incident opened").check()
    await dialog.get_by_role("button", name="Add", exact=True).click()
    await expect(dialog.get_by_label("Signing secret")).to_have_value(re.compile("^whsec_"))
    await dialog.get_by_role("button", name="I have stored it").click()
    hook = page.locator("li.hook").filter(has_text="City platform")
    await hook.get_by_role("button", name="Test City platform").click()
    await expect(hook.get_by_role("status")).to_contain_text("answered 200")
    await hook.get_by_role("button", name="Pause City platform").click()
    await expect(hook).to_contain_text("paused")
    assert await axe_violations(page) == []
    await page.context.close()


async def test_a_contact_agrees_withdraws_and_a_phone_is_let_in_by_a_code(
    house: House, browser: Browser
) -> None:
    """Asked by a message with a link; nothing is sent before yes, nor after no."""
    page = await house.page(browser, "resident", "/home")
    await page.get_by_role("button", name="Name a contact").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name", exact=True).fill("Auntie Wang")
    await dialog.get_by_role("button", name="Ask", exact=True).click()
    await expect(dialog.get_by_role("alert")).to_contain_text("phone number or an e-mail")
    await dialog.get_by_label("Phone number").fill("+86 138 0000 0002")
    await dialog.get_by_role("button", name="Ask", exact=True).click()
    contact = page.locator("li.contact")
    await expect(contact).to_contain_text("Asked, no answer yet")
    await expect(contact).not_to_contain_text("0000 0002")

    async def link() -> str | None:
        found = [CONSENT.search(str(message.get("text"))) for message in house.provider.messages]
        links = [match[0] for match in found if match]
        return links[-1] if links else None

    context = await browser.new_context(locale="zh-CN", viewport=PHONE, color_scheme="dark")
    asked = await context.new_page()
    await asked.goto(await until(link))
    await expect(asked.get_by_role("heading", name=re.compile(HOUSEHOLD))).to_be_visible()
    assert await axe_violations(asked) == []
    await asked.get_by_role("button", name=re.compile("^(Yes, tell me|同意，请通知我)$")).click()
    await expect(asked.locator(".answer.agreed")).to_be_visible()
    await page.reload()
    await expect(contact).to_contain_text("Agreed:")
    await asked.reload()
    await asked.get_by_role("button", name=re.compile("^(Stop telling me|不再通知我)$")).click()
    await expect(asked.locator(".answer.withdrawn")).to_be_visible()
    await page.reload()
    await expect(contact).to_contain_text("Withdrew:")
    await context.close()

    await page.get_by_role("button", name="Make a pairing code").click()
    shown = dialog.locator(".big")
    await expect(shown).to_have_text(re.compile(r"^\w{4} \w{4}$"))
    await expect(dialog.get_by_role("img", name="QR code")).to_be_visible()
    paired = await house.button.post(
        "/alarm-devices/pair", json={"code": await shown.inner_text(), "name": "Chen's phone"}
    )
    assert paired.status_code == 201
    await expect(dialog.get_by_text("Chen's phone is in.")).to_be_visible()
    assert await axe_violations(page) == []
    await dialog.get_by_role("button", name="Done").click()

    desk = await house.page(browser, "duty", "/devices")
    line = desk.get_by_role("row").filter(has_text="Chen's phone")
    await expect(line).to_contain_text(HOUSEHOLD)
    await expect(line).to_contain_text("never tested")
    await expect(desk.get_by_role("button", name=re.compile("press", re.IGNORECASE))).to_have_count(
        0
    )
    await page.context.close()
    await desk.context.close()
