"""The console's files: cached when their name says so, never anything outside of the bundle."""

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

from api.console import console_router
from api.hub import Hub
from api.problems import install
from tests.support.http import LiveServer

SECRET = "not for anybody"


@pytest.fixture
async def browser(tmp_path: Path) -> httpx.AsyncClient:
    bundle = tmp_path / "console"
    (bundle / "assets" / "deep").mkdir(parents=True)
    (bundle / "index.html").write_text("<!doctype html><title>Camera Hub</title>")
    (bundle / "alarm.html").write_text("<!doctype html><title>Alarm</title>")
    (bundle / "alarm.webmanifest").write_text('{"name": "A", "short_name": "SOS"}')
    (bundle / "sw.js").write_text("self.x = 1")
    (bundle / "favicon.svg").write_text("<svg/>")
    (bundle / "assets" / "index-4f2a.js").write_text("x = 1;" * 1000)
    (bundle / "assets" / "deep" / "f.js").write_text("x")
    (bundle / ".hidden").write_text(SECRET)
    (tmp_path / "secret.key").write_text(SECRET)
    (bundle / "link.txt").symlink_to(tmp_path / "secret.key")
    (bundle / "assets" / "link.js").symlink_to(tmp_path / "secret.key")
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(console_router(bundle))
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    install(app)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://hub")


async def test_assets_are_kept_for_good_and_the_page_is_asked_for_again(
    browser: httpx.AsyncClient,
) -> None:
    asset = await browser.get("/assets/index-4f2a.js", headers={"Accept-Encoding": "gzip"})
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert asset.headers["content-type"].startswith("text/javascript")
    assert asset.headers["content-encoding"] == "gzip"
    for path in ("/", "/incidents", "/incidents/0192f3a0", "/index.html"):
        page = await browser.get(path)
        assert (page.status_code, page.headers["cache-control"]) == (200, "no-cache"), path
        assert "<title>Camera Hub</title>" in page.text
    icon = await browser.get("/favicon.svg")
    assert icon.headers["content-type"] == "image/svg+xml"
    assert (await browser.get("/assets/gone-1.js")).status_code == 404, "no page in place of a file"
    assert (await browser.get("/gone.png")).status_code == 404


async def test_the_alarm_has_a_first_page_of_its_own_that_may_ask_where_it_is(
    browser: httpx.AsyncClient,
) -> None:
    for path in ("/alarm", "/alarm/pair", "/tv", "/alarm.html"):
        page = await browser.get(path)
        assert "<title>Alarm</title>" in page.text, path
        assert page.headers["cache-control"] == "no-cache"
        assert "geolocation=(self)" in page.headers["permissions-policy"]
        assert "camera=()" in page.headers["permissions-policy"]
    for path in ("/alarms", "/tvs", "/home/alarm"):
        page = await browser.get(path)
        assert "<title>Camera Hub</title>" in page.text, path
        assert "permissions-policy" not in page.headers, "left to what everything else has"


async def test_a_new_service_worker_is_found_at_once(browser: httpx.AsyncClient) -> None:
    worker = await browser.get("/sw.js")
    assert worker.headers["content-type"].startswith("text/javascript")
    assert worker.headers["cache-control"] == "no-cache"


async def test_the_alarm_is_installed_under_the_name_of_the_site(
    browser: httpx.AsyncClient, server: LiveServer, hub: Hub
) -> None:
    plain = await browser.get("/alarm.webmanifest")
    assert plain.headers["content-type"] == "application/manifest+json"
    assert plain.json()["name"] == "A"
    async with httpx.AsyncClient(base_url=server.url) as client:
        answer = await client.get("/alarm.webmanifest")
        if answer.status_code == 404:
            pytest.skip("the console is not built")
        assert answer.json()["name"].startswith(f"{hub.settings.site.name} · ")
        assert answer.json()["start_url"] == "/alarm"
        policy = answer.headers["content-security-policy"]
    assert "manifest-src 'self'" in policy
    assert "worker-src 'self';" in policy


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.key",
        "/..%2fsecret.key",
        "/%2e%2e/secret.key",
        "/assets/../../secret.key",
        "/assets/..%2f..%2fsecret.key",
        "/assets/%2e%2e%2f%2e%2e%2fsecret.key",
        "/assets/..%5c..%5csecret.key",
        "/assets//etc/passwd",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/etc/passwd%00.html",
        "/.hidden",
        "/link.txt",
        "/assets/link.js",
        "/assets/deep%2ff.js",
        "/assets/.",
        "/assets/..",
        "/console/../../secret.key",
    ],
)
async def test_nothing_outside_of_the_bundle_is_served(
    browser: httpx.AsyncClient, path: str
) -> None:
    # Sent as written: a client that tidies the address up would test itself.
    request = browser.build_request("GET", "http://hub/")
    request.url = request.url.copy_with(raw_path=path.encode())
    answer = await browser.send(request)
    assert SECRET not in answer.text
    assert "root:" not in answer.text
    assert answer.status_code == 404 or "<title>Camera Hub</title>" in answer.text


async def test_an_address_of_the_interface_never_gets_a_page(browser: httpx.AsyncClient) -> None:
    for path in ("/api", "/api/v1/nothing", "/api/v2"):
        answer = await browser.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_console_that_is_not_built_says_so(tmp_path: Path) -> None:
    app = FastAPI()
    app.include_router(console_router(tmp_path / "nowhere"))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
        answer = await client.get("/wall")
    assert answer.status_code == 503
    assert "make setup" in answer.text
