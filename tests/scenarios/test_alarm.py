"""A resident presses the one key on a phone or a television: real browser, hub and faults."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Locator, Page, ViewportSize, expect

from access.policy.types import Role
from tests.scenarios.alarm_house import SMS, Home, House, pair_phone, running_house
from tests.scenarios.conftest import axe_violations
from tests.support.stores import create_tables, run_apart
from tests.support.waiting import until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
]

PHONE = ViewportSize(width=390, height=844)
SMALL = ViewportSize(width=320, height=568)
TELEVISION = ViewportSize(width=1280, height=720)
RECEIVED = "Your alarm is received"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One hub for the module; each test has a household of its own."""
    directory = tmp_path_factory.mktemp("alarm")
    url = f"sqlite+aiosqlite:///{directory}/camera-hub.db"
    run_apart(create_tables(url))
    async with running_house(Path(directory), url) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def home(house: House) -> AsyncIterator[Home]:
    """A household; the line is mended at the end."""
    yield await house.home("Building 3, Flat 1204")
    house.line.mend()


@pytest_asyncio.fixture(loop_scope="module")
async def phone(browser: Browser, home: Home) -> AsyncIterator[BrowserContext]:
    """A phone that is paired with the household."""
    context = await browser.new_context(
        locale="en-US", viewport=PHONE, has_touch=True, reduced_motion="reduce"
    )
    page = await context.new_page()
    await pair_phone(page, home)
    await page.close()
    yield context
    await context.close()


async def alarm_page(phone: BrowserContext, home: Home) -> Page:
    """Open the alarm page, as from its icon."""
    page = await phone.new_page()
    await page.goto(f"{home.house.line.url}/alarm")
    return page


def key(page: Page, name: str = "Medical") -> Locator:
    """The button of an alarm."""
    return page.get_by_role("button", name=re.compile(f"^{name}"))


async def press(page: Page, name: str = "Medical") -> None:
    """Press, and let the countdown be cut short by its button."""
    await key(page, name).tap()
    await page.get_by_role("button", name="Send now").click()


async def headline(page: Page, text: str) -> None:
    await expect(page.get_by_role("heading", level=1)).to_have_text(text, timeout=20_000)


async def only_incident(home: Home) -> str:
    """The id of the one incident of the household."""
    (incident,) = await home.incidents()
    return str(incident.id)


async def step(duty: httpx.AsyncClient, incident: str, name: str, **body: object) -> None:
    """Take a step of the incident as the duty desk does."""
    if name not in {"progress", "whistle"}:
        body["version"] = (await duty.get(f"/incidents/{incident}")).json()["version"]
    answer = await duty.post(f"/incidents/{incident}/{name}", json=body)
    assert answer.is_success, answer.text


async def test_a_press_is_followed_until_it_is_closed(
    house: House, home: Home, phone: BrowserContext
) -> None:
    """Four seconds later it is sent; the ladder says who does what, and what comes next."""
    duty = await house.person(Role.DUTY_STAFF, "Li Wei")
    page = await alarm_page(phone, home)
    await key(page, "Fire").tap()
    await expect(
        page.get_by_role("heading", name=re.compile("Fire alarm in [1-4] s"))
    ).to_be_visible()
    assert await home.incidents() == [], "nothing leaves before the countdown has ended"
    await headline(page, RECEIVED)
    incident = await only_incident(home)
    number = (await duty.get(f"/incidents/{incident}")).json()["number"]
    await expect(page.get_by_text(number)).to_be_visible()
    await step(duty, incident, "acknowledge")
    await expect(page.get_by_text("Seen by Li Wei")).to_be_visible(timeout=10_000)
    await step(duty, incident, "progress", progress="going", minutes=5)
    await headline(page, "Help is on the way")
    await expect(page.get_by_text(re.compile("Here in about [45] min"))).to_be_visible()
    await step(duty, incident, "progress", progress="arrived")
    await headline(page, "Help is here")
    await step(duty, incident, "close", note="All is well", resolution="handled")
    await headline(page, "The alarm is closed")
    assert await axe_violations(page) == []
    await page.get_by_role("button", name="Done").click()
    await expect(key(page, "Fire")).to_be_visible()
    await page.reload()
    await expect(key(page, "Fire")).to_be_visible()


async def test_a_cancelled_countdown_sends_nothing(home: Home, phone: BrowserContext) -> None:
    """Not even when the page is opened again; and a trembling second tap cancels nothing."""
    page = await alarm_page(phone, home)
    box = await key(page).bounding_box()
    assert box is not None
    for _ in range(2):
        await page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    cancel = page.get_by_role("button", name="Cancel")
    await expect(cancel).to_be_visible()
    lower = await cancel.bounding_box()
    assert lower is not None
    assert lower["height"] > PHONE["height"] * 0.45, "as large as half of the screen"
    await cancel.click()
    await expect(key(page)).to_be_visible()
    await page.reload()
    await expect(key(page)).to_be_visible()
    assert await home.incidents() == []


async def test_a_key_that_is_held_sends_at_once(home: Home, phone: BrowserContext) -> None:
    """Two seconds, by finger or by Enter, without a countdown."""
    page = await alarm_page(phone, home)
    await key(page, "Security").focus()
    await page.keyboard.down("Enter")
    await expect(page.get_by_text("Keep holding…")).to_be_visible()
    await headline(page, RECEIVED)
    await page.keyboard.up("Enter")
    (incident,) = await home.incidents()
    assert incident.kind == "alarm_security"
    history = (await home.member.get(f"/households/{home.id}/alarms")).json()
    assert len(history) == 1


async def test_pressed_without_a_network_it_arrives_once_when_there_is_one(
    home: Home, phone: BrowserContext
) -> None:
    """The page opens and takes the press offline; it says so, and offers telephone and messages."""
    page = await alarm_page(phone, home)
    await page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    await phone.set_offline(True)
    home.house.line.cut()
    await page.reload()
    await press(page)
    await headline(page, "Sending…")
    call = page.get_by_role("link", name=re.compile("^Call .*0119"))
    await expect(call).to_be_visible(timeout=12_000)
    assert await call.get_attribute("href") == "tel:+8657100000119"
    message = await page.get_by_role("link", name="Send a text message").get_attribute("href")
    assert message is not None
    assert message.startswith(f"sms:{SMS.replace(' ', '')}?body=")
    assert "Building%203" in message
    assert await axe_violations(page) == []
    home.house.line.mend()
    await phone.set_offline(False)
    await headline(page, RECEIVED)
    assert len(await home.incidents()) == 1


async def test_a_lost_answer_and_a_closed_page_make_one_incident(
    home: Home, phone: BrowserContext
) -> None:
    """The hub commits, its answer is lost, the app is killed, opened again, and goes on."""
    page = await alarm_page(phone, home)
    await page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    await expect(page.get_by_text("Connected", exact=True)).to_be_visible()
    home.house.line.lose_answers()
    await press(page, "Fire")
    await until(home.incidents)
    await headline(page, "Sending…")
    await page.close(run_before_unload=False)
    home.house.line.cut()
    again = await alarm_page(phone, home)
    await headline(again, "Sending…")
    assert len(await home.incidents()) == 1
    home.house.line.mend()
    await again.evaluate("window.dispatchEvent(new Event('online'))")
    await headline(again, RECEIVED)
    assert len(await home.incidents()) == 1
    history = (await home.member.get(f"/households/{home.id}/alarms")).json()
    assert len(history) == 1, "one press, however often it was sent"


async def test_a_closed_page_is_sent_on_by_the_browser(home: Home, phone: BrowserContext) -> None:
    """Background Sync: nobody opens the page again, and the alarm arrives."""
    page = await alarm_page(phone, home)
    await page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    home.house.line.cut()
    await press(page)
    await headline(page, "Sending…")
    devtools = await phone.new_cdp_session(page)
    registered: list[str] = []
    devtools.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda event: registered.extend(
            found["registrationId"]
            for found in event["registrations"]
            if found["scopeURL"].endswith("/alarm")
        ),
    )
    await devtools.send("ServiceWorker.enable")
    await until(lambda: registered)
    other = await phone.new_page()
    lasting = await phone.new_cdp_session(other)
    await page.close()
    home.house.line.mend()
    await lasting.send("ServiceWorker.enable")
    # What the browser does by itself once it finds the network back.
    await lasting.send(
        "ServiceWorker.dispatchSyncEvent",
        {
            "origin": home.house.line.url,
            "registrationId": registered[-1],
            "tag": "alarms",
            "lastChance": False,
        },
    )
    await until(home.incidents)
    back = await alarm_page(phone, home)
    await headline(back, RECEIVED)
    assert len(await home.incidents()) == 1


async def test_a_mistake_is_a_message_and_the_alarm_stays(
    home: Home, phone: BrowserContext
) -> None:
    """Pressed again, it joins and rings again; called off, it stays open with the message."""
    page = await alarm_page(phone, home)
    await press(page)
    await headline(page, RECEIVED)
    await page.get_by_role("button", name="Press again").click()
    await press(page)
    await expect(page.get_by_text("It rings again.")).to_be_visible()
    incident = await only_incident(home)
    await page.get_by_role("button", name="I pressed by mistake").click()
    assert await axe_violations(page) == []
    await page.get_by_role("button", name="Yes, it was a mistake").click()
    await expect(page.get_by_text("You said it was a mistake.")).to_be_visible()
    (kept,) = await home.incidents()
    assert (str(kept.id), kept.closed_at) == (incident, None)
    alarms = (await home.member.get(f"/households/{home.id}/alarms")).json()
    assert all(alarm["cancel_asked_at"] and alarm["open"] for alarm in alarms)


async def test_a_device_that_was_removed_says_so_and_says_call(
    home: Home, phone: BrowserContext
) -> None:
    """Its press is refused, which is shown at once, with the number to call."""
    page = await alarm_page(phone, home)
    await expect(page.get_by_text("Connected", exact=True)).to_be_visible()
    (device,) = (await home.member.get(f"/households/{home.id}/alarm-devices")).json()
    await home.member.delete(f"/households/{home.id}/alarm-devices/{device['id']}")
    await press(page)
    await headline(page, "Not sent")
    await expect(page.get_by_text("no longer connected to your home")).to_be_visible()
    await expect(page.get_by_role("link", name=re.compile("^Call"))).to_be_visible()
    assert await axe_violations(page) == []
    await page.get_by_role("button", name="Done").click()
    await expect(page.get_by_label("Pairing code")).to_be_visible()
    assert await home.incidents() == []


async def test_a_browser_that_stores_nothing_sends_all_the_same(
    browser: Browser, home: Home
) -> None:
    """The database of the browser breaks after pairing; the page says so and goes on in memory."""
    context = await browser.new_context(locale="en-US", viewport=PHONE, has_touch=True)
    page = await context.new_page()
    await pair_phone(page, home)
    await page.evaluate(
        "void (IDBObjectStore.prototype.put ="
        " () => { throw new DOMException('', 'QuotaExceededError') })"
    )
    await press(page)
    await headline(page, RECEIVED)
    await page.get_by_role("button", name="Press again").click()
    await expect(page.get_by_text("This device cannot store anything.")).to_be_visible()
    assert len(await home.incidents()) == 1
    await context.close()


async def test_a_phone_whose_clock_is_wrong_shows_the_hubs_time(
    browser: Browser, home: Home
) -> None:
    """Three hours ahead: the alarm is taken, and the times are the hub's."""
    context = await browser.new_context(
        locale="en-US", viewport=PHONE, has_touch=True, timezone_id="UTC"
    )
    page = await context.new_page()
    await page.add_init_script("const real = Date.now; Date.now = () => real() + 3 * 3600e3")
    await pair_phone(page, home)
    await press(page)
    await headline(page, RECEIVED)
    (alarm,) = (await home.member.get(f"/households/{home.id}/alarms")).json()
    shown = await page.locator("ol time").first.inner_text()
    assert shown == alarm["received_at"][11:16]
    await context.close()


async def test_a_member_makes_the_phone_in_hand_an_alarm(browser: Browser, home: Home) -> None:
    """From My home, without a code; and the console is in no service worker's hands."""
    context = await browser.new_context(locale="en-US", viewport=PHONE, has_touch=True)
    page = await context.new_page()
    await page.goto(f"{home.house.line.url}/home")
    await page.locator("input[autocomplete=username]").fill(home.username)
    await page.locator("input[type=password]").fill(home.password)
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Use this phone as alarm").click()
    await page.wait_for_url("**/alarm")
    await expect(page.get_by_text("Connected", exact=True)).to_be_visible()
    await page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    await page.goto(f"{home.house.line.url}/home")
    await expect(page.get_by_role("link", name="Open the alarm")).to_be_visible()
    assert await page.evaluate("navigator.serviceWorker.controller") is None
    (device,) = (await home.member.get(f"/households/{home.id}/alarm-devices")).json()
    assert (device["name"], device["kind"]) == ("Phone of Wang Guilan", "phone")
    await context.close()


async def test_the_television_works_by_remote_control_alone(browser: Browser, home: Home) -> None:
    """Paired, pressed, cancelled and sent with arrows, OK and Back; nothing scrolls."""
    context = await browser.new_context(
        locale="en-US", viewport=TELEVISION, reduced_motion="reduce"
    )
    page = await context.new_page()
    await page.goto(f"{home.house.line.url}/tv")
    await expect(page.get_by_role("button", name="A", exact=True)).to_be_focused()
    for letter in (await home.code("tv")).replace("-", ""):
        await _steer(page, letter)
        await page.keyboard.press("Enter")
    assert await axe_violations(page) == []
    await _steer(page, "Connect")
    await page.keyboard.press("Enter")
    await expect(key(page, "Fire")).to_be_focused()
    await page.keyboard.press("ArrowRight")
    await expect(key(page, "Security")).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowLeft")
    await expect(key(page)).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    await page.keyboard.press("Backspace")
    await expect(key(page)).to_be_visible()
    assert await home.incidents() == []
    await key(page).focus()
    await page.keyboard.press("Enter")
    await headline(page, RECEIVED)
    assert await axe_violations(page) == []
    scrolls = "document.documentElement.scrollHeight > innerHeight"
    assert not await page.evaluate(scrolls)
    assert len(await home.incidents()) == 1
    await context.close()


async def _steer(page: Page, name: str) -> None:
    """Move the focus to the button `name` with arrow keys, as somebody who looks at the screen."""
    looked_at = """(e) => {
        const box = (b => [b.left, b.right, b.top, b.bottom])
        const here = document.activeElement
        return [here === e, box(here.getBoundingClientRect()), box(e.getBoundingClientRect())]
    }"""
    wanted = page.get_by_role("button", name=name, exact=True)
    way = []
    for _ in range(20):
        there, here, target = await wanted.evaluate(looked_at)
        if there:
            return
        if here[3] <= target[2] + 1:
            arrow = "ArrowDown"
        elif here[2] >= target[3] - 1:
            arrow = "ArrowUp"
        else:
            arrow = "ArrowRight" if here[1] <= target[0] + 1 else "ArrowLeft"
        way.append((arrow, here, target))
        await page.keyboard.press(arrow)
    raise AssertionError(f"{name} cannot be reached: {way}")


@pytest.mark.parametrize(("viewport", "scheme"), [(SMALL, "light"), (PHONE, "dark")])
async def test_every_state_is_open_to_everybody(
    browser: Browser, home: Home, viewport: ViewportSize, scheme: Literal["light", "dark"]
) -> None:
    """Pairing, keys, menu, test, countdown, ladder: axe finds nothing, nothing is cut off."""
    context = await browser.new_context(
        locale="zh-CN",
        viewport=viewport,
        color_scheme=scheme,
        has_touch=True,
        reduced_motion="reduce",
    )
    page = await context.new_page()

    async def look(state: str) -> None:
        assert await axe_violations(page) == [], state
        wide = "document.documentElement.scrollWidth > innerWidth"
        assert not await page.evaluate(wide), state

    await page.goto(f"{home.house.line.url}/alarm#pair={await home.code()}")
    await expect(page.get_by_label("配对码")).not_to_be_empty()
    assert "#" not in page.url, "the code stays in no history"
    await look("pairing")
    await page.get_by_role("button", name="连接").click()
    await expect(page.get_by_text("已连接", exact=True)).to_be_visible()
    await look("keys")
    for name in ("火警", "治安", "急救"):
        box = await key(page, name).bounding_box()
        assert box is not None
        share = box["width"] * box["height"] / (viewport["width"] * viewport["height"])
        assert share > 0.2, "about a quarter of the screen"
    await page.get_by_role("button", name="菜单").click()
    await look("menu")
    await page.get_by_role("button", name="测试报警").click()
    await page.get_by_role("button", name="开始测试").click()
    await expect(page.get_by_role("heading", name="测试已收到")).to_be_visible()
    await look("test")
    await page.get_by_role("button", name="知道了").click()
    await expect(page.get_by_text("测试过")).to_be_visible()
    await key(page, "急救").tap()
    await expect(page.get_by_role("button", name="取消")).to_be_visible()
    await look("countdown")
    await page.get_by_role("button", name="立即发出").click()
    await headline(page, "您的报警已收到")
    await look("ladder")
    await context.close()
    statuses = sorted(incident.status for incident in await home.incidents())
    assert statuses == ["actual", "test"]
