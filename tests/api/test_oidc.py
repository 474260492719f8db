"""Signing in through an identity provider: a real one over a socket, and one that lies."""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import oidc_provider_mock  # type: ignore[import-untyped]
import orjson
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from sqlalchemy import text

from access.oidc.provider import Provider
from access.policy.types import Role, RoleBinding
from api.app import create_app
from api.door import COOKIE, CSRF_HEADER
from api.hub import Hub, build_hub
from core.clock import ManualClock, SystemClock
from core.errors import ForbiddenError, UnavailableError
from core.settings import AccessSettings, OidcSettings, Settings
from tests.support.http import PASSWORD, Client, password_hash

START = "/api/v1/sessions/oidc/start"
CALLBACK = "/api/v1/sessions/oidc/callback"
ME = "/api/v1/accounts/me"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """A provider on a loopback port."""
    with oidc_provider_mock.run_server_in_thread(require_nonce=True) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def link() -> str:
    """How identities find their accounts; a test names another way indirectly."""
    return "none"


@pytest.fixture
async def oidc_hub(settings: Settings, issuer: str, link: str) -> AsyncIterator[Hub]:
    """A hub that knows the provider; by the machine's clock, as the provider's tokens are."""
    oidc = OidcSettings.model_validate(
        {"issuer": issuer, "client_id": "hub", "client_secret": "s", "name": "Town", "link": link}
    )
    access = AccessSettings(oidc=oidc)
    hub = build_hub(settings.model_copy(update={"access": access}), SystemClock())
    async with hub.database.transaction() as session:
        await hub.accounts.create(
            session,
            username="li.na",
            display_name="Li Na",
            password=password_hash(),
            roles=[RoleBinding(Role.PATROL, "demo")],
        )
    yield hub
    await hub.close()


@pytest.fixture
async def browser(oidc_hub: Hub) -> AsyncIterator[Client]:
    """A browser at the hub; it follows no redirect by itself."""
    transport = httpx.ASGITransport(app=create_app(oidc_hub))
    async with Client(transport=transport, base_url="http://localhost") as client:
        yield client


async def at_provider(url: str, subject: str, *, deny: bool = False) -> str:
    """Sign in at the provider as `subject`; return path and query of the way back."""
    async with httpx.AsyncClient() as client:
        form = {"action": "deny"} if deny else {"sub": subject}
        answer = await client.post(url, data=form)
    assert answer.status_code in {302, 303}, answer.text
    back = urlsplit(answer.headers["location"])
    assert f"{back.scheme}://{back.netloc}{back.path}" == f"http://localhost{CALLBACK}"
    return f"{back.path}?{back.query}"


async def start(browser: Client) -> str:
    """Begin; return the provider's address."""
    answer = await browser.get(START)
    assert answer.status_code == 302
    for part in ("HttpOnly", "SameSite=lax", f"Path={CALLBACK.rpartition('/')[0]}"):
        assert part in answer.headers["set-cookie"]
    url: str = answer.headers["location"]
    query = parse_qs(urlsplit(url).query)
    assert query["code_challenge_method"] == ["S256"]
    assert query["response_type"] == ["code"]
    assert len(query["state"][0]) > 40
    assert len(query["nonce"][0]) > 40
    return url


async def connect(browser: Client, subject: str) -> str:
    """Sign in with the password and connect `subject`; return where the browser ends."""
    signed = await browser.post(
        "/api/v1/sessions", json={"username": "li.na", "password": PASSWORD}
    )
    browser.headers[CSRF_HEADER] = signed.json()["csrf_token"]
    asked = await browser.post(f"{ME}/oidc", json={"password": PASSWORD})
    assert asked.status_code == 200, asked.text
    back = await browser.get(await at_provider(asked.json()["url"], subject))
    location: str = back.headers["location"]
    return location


async def signs_in(browser: Client, subject: str) -> str:
    """Sign in as `subject`; return where the browser ends."""
    back = await browser.get(await at_provider(await start(browser), subject))
    location: str = back.headers["location"]
    return location


async def test_an_identity_signs_in_once_its_holder_has_connected_it(
    browser: Client, oidc_hub: Hub
) -> None:
    assert (await browser.get("/api/v1/sessions/oidc")).json() == {"enabled": True, "name": "Town"}
    assert await signs_in(browser, "li-at-town") == "/sign-in?problem=identity-unknown"
    assert await signs_in(browser, "li.na") == "/sign-in?problem=identity-unknown", (
        "no link by name"
    )
    assert await connect(browser, "li-at-town") == "/account?linked=1"
    assert (await browser.get(ME)).json()["oidc"]["linked"] is True
    browser.cookies.clear()
    assert await signs_in(browser, "li-at-town") == "/"
    current = (await browser.get("/api/v1/sessions/current")).json()
    assert current["account"]["username"] == "li.na"
    assert current["account"]["roles"] == [{"role": "patrol", "area": "demo"}]
    async with oidc_hub.database.read() as session:
        kinds = set(await session.scalars(text("SELECT kind FROM ledger_entry")))
        accounts = await session.scalar(text("SELECT count(*) FROM account"))
    assert "account.identity_linked" in kinds
    assert accounts == 1, "no account is made out of claims"
    browser.headers[CSRF_HEADER] = current["csrf_token"]
    gone = await browser.request("DELETE", f"{ME}/oidc", json={"password": PASSWORD})
    assert gone.status_code == 204
    assert await signs_in(browser, "li-at-town") == "/sign-in?problem=identity-unknown"


async def test_a_second_factor_is_asked_for_after_the_provider_too(
    browser: Client, oidc_hub: Hub
) -> None:
    await connect(browser, "li-at-town")
    async with oidc_hub.database.transaction() as session:
        found = await oidc_hub.accounts.get_by_username(session, "li.na")
        found.has_second_factor = True
    browser.cookies.clear()
    location = await signs_in(browser, "li-at-town")
    assert location.startswith("/sign-in#step=")
    assert COOKIE not in browser.cookies


@pytest.mark.parametrize("link", ["username"])
async def test_the_username_finds_the_account_only_where_settings_say_so(
    browser: Client, oidc_hub: Hub, issuer: str
) -> None:
    async with httpx.AsyncClient() as client:
        for subject, username in (("s-1", "Li.Na"), ("s-2", "li.na"), ("s-3", "nobody.here")):
            claims = {"preferred_username": username}
            answer = await client.put(f"{issuer}/users/{subject}", json=claims)
            assert answer.is_success, answer.text
    assert await signs_in(browser, "s-1") == "/"
    browser.cookies.clear()
    assert await signs_in(browser, "s-2") == "/sign-in?problem=identity-unknown", "it has one"
    assert await signs_in(browser, "s-3") == "/sign-in?problem=identity-unknown"
    assert await signs_in(browser, "s-1") == "/"


async def test_an_answer_that_this_browser_did_not_ask_for_signs_nobody_in(
    browser: Client, oidc_hub: Hub
) -> None:
    await connect(browser, "attacker")
    browser.cookies.clear()
    theirs = await at_provider(await start(browser), "attacker")
    browser.cookies.clear()
    mismatch = "/sign-in?problem=sign-in-mismatch"
    assert (await browser.get(theirs)).headers["location"] == mismatch, "no ticket"
    await start(browser)
    assert (await browser.get(theirs)).headers["location"] == mismatch, "of another sign-in"
    for query in ("", "?code=x", "?state=", "?state=x&code=y"):
        assert (await browser.get(CALLBACK + query)).headers["location"] == mismatch
    mine = await at_provider(await start(browser), "attacker")
    ticket = browser.cookies["camera_hub_oidc"]
    assert (await browser.get(mine)).headers["location"] == "/"
    assert "camera_hub_oidc" not in browser.cookies
    headers = {"Cookie": f"camera_hub_oidc={ticket}"}
    replayed = (await browser.get(mine, headers=headers)).headers["location"]
    assert replayed in {
        "/sign-in?problem=provider-refused",
        "/sign-in?problem=challenge-expired",
    }


async def test_who_breaks_off_at_the_provider_is_told_so(browser: Client) -> None:
    denied = await at_provider(await start(browser), "li", deny=True)
    assert (await browser.get(denied)).headers["location"] == "/sign-in?problem=provider-denied"


async def test_without_the_provider_the_password_still_works(
    settings: Settings, client: Client
) -> None:
    assert (await client.get("/api/v1/sessions/oidc")).json() == {"enabled": False, "name": ""}
    away = OidcSettings(issuer="http://localhost:9", client_id="hub")
    access = AccessSettings(oidc=away)
    hub = build_hub(settings.model_copy(update={"access": access}), SystemClock())
    transport = httpx.ASGITransport(app=create_app(hub))
    async with Client(transport=transport, base_url="http://localhost") as browser:
        answer = await browser.get(START)
        assert answer.headers["location"] == "/sign-in?problem=provider-away"
        wrong = {"username": "nobody", "password": "whatever it is"}
        assert (await browser.post("/api/v1/sessions", json=wrong)).status_code == 401
    await hub.close()


class Liar:
    """A provider that signs what it is told, served over a socket by its own keys."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.key = RSAKey.generate_key(2048, {"kid": "one"})
        self.asked = 0
        self.published = KeySet([self.key])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/jwks":
            self.asked += 1
            body: Any = self.published.as_dict(private=False)
        else:
            ends = {f"{n}_endpoint": f"{self.url}/{n}" for n in ("authorization", "token")}
            body = {"issuer": self.url, "jwks_uri": f"{self.url}/jwks", **ends}
        start = {"type": "http.response.start", "status": 200, "headers": []}
        await send({**start, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": orjson.dumps(body)})


@pytest.fixture
async def liar() -> AsyncIterator[Liar]:
    """The liar behind uvicorn."""
    import asyncio
    import socket

    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    found = Liar(f"http://127.0.0.1:{listener.getsockname()[1]}")
    server = uvicorn.Server(uvicorn.Config(found, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    yield found
    server.should_exit = True
    await task
    listener.close()


def _with_public_key_as_secret(key: RSAKey, claims: dict[str, Any]) -> str:
    """Sign with HS256 and what everybody knows: the text of the public key."""
    parts = [
        urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=")
        for part in ({"alg": "HS256", "kid": "one"}, claims)
    ]
    made = hmac.digest(key.as_pem(private=False), b".".join(parts), "sha256")
    return b".".join([*parts, urlsafe_b64encode(made).rstrip(b"=")]).decode()


async def test_an_id_token_that_does_not_hold_is_refused(liar: Liar, clock: ManualClock) -> None:
    provider = Provider(clock, OidcSettings(issuer=liar.url, client_id="hub"))
    now = int(clock.now().timestamp())
    good: dict[str, Any] = {
        "iss": liar.url,
        "sub": "li",
        "aud": "hub",
        "iat": now,
        "exp": now + 300,
        "nonce": "n",
    }

    def signed(claims: dict[str, Any], key: Any = None, alg: str = "RS256") -> str:
        return jwt.encode({"alg": alg, "kid": "one"}, claims, key or liar.key, algorithms=[alg])

    assert (await provider.check(signed(good), "n"))["sub"] == "li"
    assert await provider.check(signed(good | {"exp": now - 30}), "n"), "clocks differ a little"

    async def refused(token: str, nonce: str = "n") -> None:
        with pytest.raises(ForbiddenError) as error:
            await provider.check(token, nonce)
        assert error.value.code == "identity-refused"

    bad: list[dict[str, Any]] = [
        {"iss": "https://other.example"},
        {"aud": "another"},
        {"aud": ["hub", "another"]},
        {"azp": "another"},
        {"exp": now - 120},
        {"iat": now + 3600},
        {"nonce": "another"},
        {"sub": ""},
        {"sub": "x" * 300},
    ]
    for change in bad:
        await refused(signed(good | change))
    for missing in ("iss", "sub", "aud", "exp", "iat", "nonce"):
        await refused(signed({k: v for k, v in good.items() if k != missing}))
    await refused(signed(good), nonce="of another sign-in")
    await refused(signed(good, RSAKey.generate_key(2048, {"kid": "one"})))
    await refused(_with_public_key_as_secret(liar.key, good))
    header = urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    body = signed(good).split(".")[1]
    for token in (f"{header}.{body}.", f"{header}.{body}", "", "a.b.c", "é" * 40):
        await refused(token)
    head, body, signature = signed(good).split(".")
    await refused(f"{head}.{body}.{signature[:-6]}AAAAAA")


async def test_new_keys_of_the_provider_are_read_but_not_at_every_forged_token(
    liar: Liar, clock: ManualClock
) -> None:
    provider = Provider(clock, OidcSettings(issuer=liar.url, client_id="hub"))
    now = int(clock.now().timestamp())
    claims = {
        "iss": liar.url,
        "sub": "li",
        "aud": "hub",
        "iat": now,
        "exp": now + 900,
        "nonce": "n",
    }
    newer = RSAKey.generate_key(2048, {"kid": "two"})

    def token(key: RSAKey, kid: str) -> str:
        return jwt.encode({"alg": "RS256", "kid": kid}, claims, key)

    assert await provider.check(token(liar.key, "one"), "n")
    liar.published = KeySet([newer])
    clock.advance(60)
    assert await provider.check(token(newer, "two"), "n")
    assert liar.asked == 2
    for _ in range(5):
        with pytest.raises(ForbiddenError):
            await provider.check(token(liar.key, "one"), "n")
    assert liar.asked == 2, "whoever sends forged tokens does not make the hub ask on and on"


async def test_a_description_leads_nowhere_else(liar: Liar, clock: ManualClock) -> None:
    """Neither to plain HTTP at another host, nor to another issuer."""
    provider = Provider(clock, OidcSettings(issuer=f"{liar.url}/", client_id="hub"))
    with pytest.raises(UnavailableError, match="another issuer"):
        await provider.authorization_url(
            redirect_uri="http://localhost/", state="s", nonce="n", code_challenge="c"
        )
    right = Provider(clock, OidcSettings(issuer=liar.url, client_id="hub"))
    for address in ("http://169.254.169.254/latest", "file:///etc/passwd", "ftp://x", None):
        with pytest.raises(UnavailableError):
            right._checked(address)


@pytest.mark.parametrize(
    "issuer_address", ["http://login.example.org", "https://u:p@login.example.org", "file:///x"]
)
def test_an_issuer_without_https_is_refused_at_the_start(issuer_address: str) -> None:
    with pytest.raises(ValueError, match=re.compile("must")):
        OidcSettings(issuer=issuer_address, client_id="hub")
