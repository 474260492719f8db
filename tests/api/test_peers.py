"""Who asks, which host they ask for, and what a browser is told to keep to."""

import itertools
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from access.policy.types import Role
from access.sessions.models import Session
from api.app import create_app
from api.door import session_cookie
from api.hub import Hub
from api.middleware import content_security_policy
from core.settings import ServerSettings, Settings, SettingsError, load_settings
from tests.support.http import PASSWORD, LiveServer, SignIn
from tests.support.logs import captured_logs

FORGED = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Real-IP": "203.0.113.7",
    "Forwarded": "for=203.0.113.7",
    "X-Client-IP": "203.0.113.7",
    "True-Client-IP": "203.0.113.7",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
}


async def addresses_seen(hub: Hub, peer: str, headers: dict[str, str], username: str) -> set[str]:
    """Sign in from `peer` and return the addresses in the session and in the log."""
    transport = httpx.ASGITransport(app=create_app(hub), client=(peer, 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        with captured_logs() as lines:
            made = await client.post(
                "/api/v1/sessions",
                json={"username": username, "password": PASSWORD},
                headers=headers,
            )
    assert made.status_code == 201, made.text
    async with hub.database.read() as session:
        newest = Session.created_at.desc()
        row = (await session.scalars(newest_first(newest))).first()
    assert row is not None
    logged = {line["address"] for line in lines if line["event"] == "request"}
    assert logged
    return {row.address, *logged}


def newest_first(order: Any) -> Any:
    from sqlalchemy import select

    return select(Session).order_by(order, Session.id.desc())


async def test_a_forged_address_never_counts(hub: Hub, sign_in: SignIn) -> None:
    user = (await sign_in(Role.PATROL, "demo")).username
    for peer in ("192.0.2.9", "127.0.0.1", "::1"):
        assert await addresses_seen(hub, peer, FORGED, user) == {peer}


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """Settings of the server as the test names them."""
    more = getattr(request, "param", {})
    server = ServerSettings.model_validate(settings.server.model_dump() | more)
    return settings.model_copy(update={"server": server})


@pytest.mark.parametrize(
    "settings", [{"trusted_proxies": ["127.0.0.1", "10.1.0.0/16", "::1"]}], indirect=True
)
@pytest.mark.parametrize(
    ("peer", "forwarded", "counts"),
    [
        ("127.0.0.1", "203.0.113.7", "203.0.113.7"),
        # What stands further left was written by the client.
        ("127.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.7, 10.1.2.3", "203.0.113.7"),
        ("::ffff:127.0.0.1", "203.0.113.7:51000", "203.0.113.7"),
        ("::1", "[2001:db8::5]:443", "2001:db8::5"),
        ("10.2.0.1", "203.0.113.7", "10.2.0.1"),
        ("127.0.0.1", "203.0.113.7, <script>", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", ", ".join(["10.1.0.1"] * 500), "10.1.0.1"),
    ],
)
async def test_only_a_trusted_proxy_says_who_asks(
    hub: Hub, sign_in: SignIn, peer: str, forwarded: str, counts: str
) -> None:
    user = (await sign_in(Role.PATROL, "demo")).username
    headers = FORGED | {"X-Forwarded-For": forwarded}
    assert await addresses_seen(hub, peer, headers, user) == {counts}


async def test_guesses_through_a_proxy_count_for_the_address_that_made_them(
    hub: Hub, sign_in: SignIn
) -> None:
    """Without `trusted_proxies` a guesser cannot change address by a header."""
    user = (await sign_in(Role.PATROL, "demo")).username
    transport = httpx.ASGITransport(app=create_app(hub), client=("192.0.2.9", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        codes = [
            (
                await client.post(
                    "/api/v1/sessions",
                    json={"username": user, "password": "wrong"},
                    headers={"X-Forwarded-For": f"203.0.113.{n}"},
                )
            ).status_code
            for n in range(8)
        ]
    assert 429 in codes


HOSTS = [
    ("localhost", True),
    ("LOCALHOST:8480", True),
    ("localhost.", True),
    ("127.0.0.1:9", True),
    ("192.168.1.20", True),
    ("[::1]:8480", True),
    ("hub.example.org", True),
    ("evil.example", False),
    ("localhost.evil.example", False),
    ("127.0.0.1.evil.example", False),
    ("hub.example.org@evil.example", False),
    ("evil.example/localhost", False),
    ("2130706433", False),
    ("", False),
    ("[::1", False),
]


@pytest.mark.parametrize(
    "settings", [{"public_url": "https://hub.example.org", "hosts": []}], indirect=True
)
async def test_a_name_that_is_not_the_hubs_is_refused(server: LiveServer) -> None:
    """DNS rebinding: another site's name leads here, but the browser still says that name."""
    paths = ("/api/v1/health/live", "/api/v1/metrics", "/", "/assets/x.js")
    async with httpx.AsyncClient(base_url=server.url) as client:
        for (host, known), path in itertools.product(HOSTS, paths):
            answer = await client.get(path, headers={"Host": host})
            assert (answer.status_code == 421) is not known, (host, path)
            if not known:
                assert answer.json()["code"] == "unknown-host"
                assert "server.hosts" in answer.json()["remedy"]


async def test_a_web_socket_for_another_name_is_refused(
    server: LiveServer, sign_in: SignIn
) -> None:
    client = await sign_in(Role.SUPERVISOR, "demo", at=server)
    url = (
        f"ws://evil.example:{server.port}/api/v1/cameras/0192f3a0-0000-7000-8000-000000000000/live"
    )
    with pytest.raises(InvalidStatus) as refused:
        async with connect(
            url,
            host="127.0.0.1",
            port=server.port,
            additional_headers=client.cookie_header,
            origin=Origin(f"http://evil.example:{server.port}"),
        ):
            pass
    assert refused.value.response.status_code == 403


PAGES: list[tuple[dict[str, str], bool]] = [
    ({}, True),
    ({"Origin": "SELF"}, True),
    ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, True),
    # A person who follows a link, or comes back from a sign-in elsewhere.
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, True),
    ({"Origin": "https://evil.example"}, False),
    ({"Origin": "http://127.0.0.1:1"}, False),
    ({"Origin": "http://[broken"}, False),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, False),
    ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, False),
]


async def test_another_sites_page_opens_no_stream_and_reads_nothing(
    server: LiveServer, sign_in: SignIn
) -> None:
    client = await sign_in(Role.PATROL, "demo", at=server)
    for said, allowed in PAGES:
        headers = {name: text.replace("SELF", server.url) for name, text in said.items()}
        for path in ("/api/v1/events", "/api/v1/sessions/current"):
            async with client.stream("GET", path, headers=headers) as answer:
                assert answer.status_code == (200 if allowed else 403), (path, said)


HTTPS: list[dict[str, Any]] = [{"public_url": "https://hub.example.org"}, {"secure_cookies": True}]


@pytest.mark.parametrize("settings", HTTPS, indirect=True)
async def test_over_https_the_cookie_is_bound_to_the_host_and_browsers_stay_with_https(
    hub: Hub, sign_in: SignIn
) -> None:
    user = await sign_in(Role.PATROL, "demo")
    transport = httpx.ASGITransport(app=create_app(hub))
    async with httpx.AsyncClient(transport=transport, base_url="https://testserver") as client:
        body = {"username": user.username, "password": PASSWORD}
        made = await client.post("/api/v1/sessions", json=body)
        cookie = made.headers["set-cookie"]
        assert cookie.startswith("__Host-camera_hub_session=")
        for part in ("; Secure", "; Path=/", "; HttpOnly", "; SameSite=strict"):
            assert part in cookie
        assert "domain" not in cookie.lower()
        assert made.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
        name = session_cookie(hub.settings.server)
        assert (await client.get("/api/v1/sessions/current")).status_code == 200
        # A neighbour under the same domain can plant the plain name, so it does not count.
        token = client.cookies[name]
        client.cookies.clear()
        plain = {"Cookie": f"camera_hub_session={token}"}
        assert (await client.get("/api/v1/sessions/current", headers=plain)).status_code == 401


async def test_over_plain_http_nothing_promises_https(server: LiveServer) -> None:
    async with httpx.AsyncClient(base_url=server.url) as client:
        answer = await client.get("/api/v1/health/live")
    assert "Strict-Transport-Security" not in answer.headers


def test_pages_may_load_from_this_site_only() -> None:
    policy = content_security_policy(ServerSettings())
    assert "connect-src 'self';" in policy
    assert "ws:" not in policy
    assert "*" not in policy
    assert "object-src 'none'" in policy
    assert "base-uri 'none'" in policy
    public = content_security_policy(ServerSettings(public_url="https://hub.example.org"))
    assert "connect-src 'self' wss://hub.example.org;" in public


def test_a_proxy_that_is_no_address_is_refused_at_the_start() -> None:
    for key in ("trusted_proxies",):
        with pytest.raises(SettingsError, match="neither an IP address nor a network"):
            load_settings(environ={f"CAMERA_HUB_SERVER__{key.upper()}": "[nginx]"})
