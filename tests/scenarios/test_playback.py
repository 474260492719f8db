"""What a camera recorded, played back in a real browser, and dark with the right to see it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page, expect

from access.policy.types import Role, RoleBinding
from api.app import make_server
from api.hub import build_hub
from app.demo import Login, signed_in
from app.migrate import upgrade
from camera_hub.devices.models import Camera
from core.clock import SystemClock
from core.ids import new_id
from core.settings import DatabaseSettings, ServerSettings, Settings
from tests.scenarios.conftest import axe_violations, sign_in
from tests.support.http import PASSWORD, password_hash
from tests.support.recorded import write_segment
from tests.support.waiting import until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(180),
]

REFERENCE = "K-2026-17"
AREA = "demo/riverside"
ROLES = {
    "duty": Role.DUTY_STAFF,
    "supervisor": Role.SUPERVISOR,
    "auditor": Role.AUDITOR,
    "admin": Role.ADMINISTRATOR,
}
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


@dataclass(frozen=True)
class Site:
    """A hub on a port, a camera with a minute of recordings, and the people who may look."""

    url: str
    camera_id: UUID
    begin: datetime
    logins: dict[str, Login]

    def login(self, name: str) -> Login:
        return self.logins[name]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """What a recorder has left, without waiting for one: `test_recording` has a real one."""
    data_dir = tmp_path_factory.mktemp("playback")
    listener = socket.create_server(("127.0.0.1", 0))
    settings = Settings(
        data_dir=data_dir,
        database=DatabaseSettings(url=f"sqlite+aiosqlite:///{data_dir}/hub.db"),
        server=ServerSettings(host="127.0.0.1", port=listener.getsockname()[1]),
    )
    hub = build_hub(settings, SystemClock())
    await upgrade(hub.database)
    begin = hub.clock.now() - timedelta(minutes=10)
    camera = Camera(
        id=new_id(), name="Gate", area=AREA, place_kind="shared_space", enabled=False,
        source_kind="rtsp", address="rtsp://192.0.2.1/", created_at=begin,
    )  # fmt: skip
    disk = hub.settings.recording_disks[0].path
    files = [
        write_segment(disk, camera.id, begin + timedelta(seconds=6 * n), sequence=n)
        for n in range(10)
    ]
    logins = {name: Login(name, PASSWORD, role.value, "") for name, role in ROLES.items()}
    async with hub.database.transaction() as session:
        session.add(camera)
        await session.flush()
        await hub.recordings.take(session, "media-0", files)
        for name, role in ROLES.items():
            await hub.accounts.create(
                session, username=name, display_name=name, password=password_hash(),
                roles=[RoleBinding(role, AREA)],
            )  # fmt: skip
    server = make_server(hub)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await until(lambda: server.started)
    yield Site(f"http://127.0.0.1:{settings.server.port}", camera.id, begin, logins)
    server.should_exit = True
    await serving
    await hub.close()


async def _open(page: Page, site: Site) -> None:
    """Fill in what for, as a person does, and open the recordings."""
    at = f"{site.begin:%Y-%m-%dT%H:%M:%S}Z"
    await page.goto(f"{site.url}/playback?camera={site.camera_id}&at={at}")
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
    site: Site, context: BrowserContext
) -> None:
    """Pictures move, a key goes on by one, a part is kept, and who looked is written down."""
    page = await context.new_page()
    await sign_in(page, site, site.login("duty"))
    await _open(page, site)
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
        async with signed_in(site.url, site.login("auditor")) as auditor:
            rows = (await auditor.get("/view-records")).json()["items"]
        return [r for r in rows if r["kind"] == "playback" and r["ended_at"] is not None]

    # Leaving the page has ended it.
    (record,) = await until(written, timeout=10)
    assert record["purpose"] == "case"
    assert record["reference"] == REFERENCE
    assert record["account"]["username"] == "duty"


async def test_a_withdrawn_role_takes_the_picture_away(site: Site, context: BrowserContext) -> None:
    """What lies in the browser's buffer does not outlast the right to see it."""
    page = await context.new_page()
    await sign_in(page, site, site.login("supervisor"))
    await _open(page, site)
    await until(lambda: _look(page), timeout=30)
    async with signed_in(site.url, site.login("admin")) as admin:
        people = (await admin.get("/accounts")).json()["items"]
        account = next(one for one in people if one["username"] == "supervisor")
        area = account["roles"][0]["area"]
        change = {"roles": [{"role": "patrol", "area": area}]}
        changed = await admin.patch(f"/accounts/{account['id']}", json=change)
        assert changed.is_success, changed.text

    async def dark() -> bool:
        return await _look(page) is None

    await until(dark, timeout=5)
