"""Signing in as a person meets it: second steps, passkeys and forced changes, in a real browser."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pyotp
import pytest
from playwright.async_api import Page, async_playwright, expect

from access.policy.types import Role, RoleBinding
from api.hub import Hub
from core.clock import Clock, SystemClock
from tests.scenarios.conftest import CHROMIUM, CHROMIUM_ARGUMENTS, axe_violations
from tests.support.http import PASSWORD, LiveServer, password_hash

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

NEW = "only mine from now on"


@pytest.fixture
def clock() -> Clock:
    """The browser and the codes of the app go by the machine's clock."""
    return SystemClock()


@pytest.fixture
async def page(hub: Hub, server: LiveServer) -> AsyncIterator[Page]:
    """A page at localhost, where browsers offer passkeys; its device asks for no finger."""
    async with hub.database.transaction() as session:
        for name, role, must in (
            ("walker", Role.PATROL, True),
            ("chief", Role.ADMINISTRATOR, False),
        ):
            await hub.accounts.create(
                session,
                username=name,
                display_name=name.title(),
                password=password_hash(),
                roles=[RoleBinding(role, "")],
                password_set_by="Chief" if must else None,
                must_change_password=must,
            )
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS
        )
        context = await browser.new_context(
            locale="en-US",
            viewport={"width": 1280, "height": 900},
            base_url=f"http://localhost:{server.port}",
        )
        found = await context.new_page()
        devtools = await context.new_cdp_session(found)
        await devtools.send("WebAuthn.enable")
        device = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": device})
        yield found
        await browser.close()


async def enter(page: Page, username: str, password: str) -> None:
    """Fill in the form of the sign-in page."""
    await page.locator("input[autocomplete=username]").fill(username)
    await page.locator("input[autocomplete=current-password]").fill(password)
    await page.keyboard.press("Enter")


async def prove(page: Page, password: str) -> None:
    """Enter the present password where a dialog asks for it."""
    dialog = page.get_by_role("dialog").filter(
        has=page.locator("input[autocomplete=current-password]")
    )
    await dialog.locator("input[type=password]").fill(password)
    await dialog.locator("button[type=submit]").click()


async def keep_codes(page: Page) -> list[str]:
    """Store the recovery codes that are shown, and go on."""
    dialog = page.get_by_role("dialog", name="Your recovery codes")
    codes = (await dialog.locator("textarea").input_value()).split()
    await expect(dialog.get_by_role("button", name="Done")).to_be_disabled()
    await dialog.get_by_text("I have stored the codes.").click()
    await dialog.get_by_role("button", name="Done").click()
    await expect(dialog).to_be_hidden()
    return codes


async def leave(page: Page) -> None:
    """Sign out."""
    await page.get_by_role("button", name="Settings").click()
    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url(re.compile("/sign-in"))


async def test_a_given_password_is_changed_then_an_app_and_a_passkey_sign_in(page: Page) -> None:
    await page.goto("/")
    await enter(page, "walker", PASSWORD)
    await page.wait_for_url("**/account")
    await expect(page.get_by_text("Somebody else set your password.")).to_be_visible()
    await page.goto("/queue")
    await page.wait_for_url("**/account")
    fields = page.locator("form input[type=password]")
    for number, typed in enumerate((PASSWORD, NEW, NEW)):
        await fields.nth(number).fill(typed)
    await page.get_by_role("button", name="Change the password").click()
    await page.wait_for_url("**/tasks")

    await page.goto("/account")
    await page.get_by_role("button", name="Set up an authenticator app").click()
    await prove(page, NEW)
    dialog = page.get_by_role("dialog").filter(has=page.get_by_role("img"))
    picture = dialog.get_by_role("img", name="QR code for the authenticator app")
    await expect(picture).to_be_visible()
    assert await picture.evaluate("img => img.naturalWidth > 0"), "the policy lets it be shown"
    secret = (await dialog.locator("code").inner_text()).replace(" ", "")
    app = pyotp.TOTP(secret)
    moment = SystemClock().now()
    await dialog.locator("input").fill(app.at(moment))
    await dialog.get_by_role("button", name="Confirm").click()
    codes = await keep_codes(page)
    assert len(codes) == 10

    await page.get_by_role("button", name="Add a passkey").click()
    await prove(page, NEW)
    naming = page.get_by_role("dialog", name="Name the passkey")
    await naming.locator("input").fill("Desk")
    await naming.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Desk", exact=True)).to_be_visible()
    assert await axe_violations(page) == []

    await leave(page)
    await enter(page, "walker", NEW)
    await page.get_by_role("button", name="Code of the authenticator app").click()
    await page.locator("input[autocomplete=one-time-code]").fill(app.at(moment))
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("wrong or was used already")).to_be_visible()
    assert await axe_violations(page) == []
    await page.get_by_role("button", name="Recovery code").click()
    await page.get_by_label("Recovery code").fill(codes[0].upper())
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/tasks")

    await leave(page)
    await enter(page, "walker", NEW)
    await page.get_by_role("button", name="Use the passkey").click()
    await page.wait_for_url("**/tasks")
    await leave(page)
    assert await axe_violations(page) == []
    await page.get_by_role("button", name="Sign in with a passkey").click()
    await page.wait_for_url("**/tasks")


async def test_an_administrator_sees_and_resets_what_others_lost(page: Page, hub: Hub) -> None:
    async with hub.database.transaction() as session:
        walker = await hub.accounts.get_by_username(session, "walker")
        walker.must_change_password = False
        secret, *_ = await hub.factors.begin_totp(session, walker)
        await hub.factors.confirm_totp(session, walker, pyotp.TOTP(secret).at(hub.clock.now()))
    await page.goto("/accounts")
    await enter(page, "chief", PASSWORD)
    row: Any = page.get_by_role("row").filter(has_text="walker")
    await expect(row.get_by_text("App", exact=True)).to_be_visible()
    await row.get_by_role("button", name="Reset second factor: Walker").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_text("It is written into the ledger.")).to_be_visible()
    await dialog.get_by_role("button", name="Reset second factor").click()
    await expect(row.get_by_text("None", exact=True)).to_be_visible()
    await row.get_by_role("button", name="Edit Walker").click()
    await dialog.get_by_role("button", name="Add a role").click()
    await dialog.get_by_label("Role 2", exact=True).select_option("operator")
    await dialog.get_by_role("button", name="Add a role").click()
    await dialog.get_by_label("Role 3", exact=True).select_option("auditor")
    await expect(dialog.get_by_text("see no video")).to_be_visible()
    assert await axe_violations(page) == []


async def test_what_went_wrong_at_the_provider_is_said_in_the_persons_language(page: Page) -> None:
    await page.goto("/sign-in?problem=identity-unknown")
    await expect(page.get_by_role("alert")).to_contain_text("No account here is connected")
    await page.get_by_text("中文", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("没有与您关联的账号")
