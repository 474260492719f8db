"""Every error is a problem (RFC 9457) that says what happened and what to do, and nothing else."""

import logging
from typing import Annotated

import httpx
import pytest
import structlog
from fastapi import APIRouter, FastAPI

from access.policy.types import Actor, Role
from api.door import permit
from core.errors import HubError
from core.ids import new_id
from core.logging import configure_logging
from tests.support.http import Client, ServiceClient, SignIn

MEMBERS = {"type", "title", "status", "detail", "remedy", "code", "instance"}


def check(answer: httpx.Response, status: int, code: str) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    body: dict[str, object] = answer.json()
    assert set(body) >= MEMBERS
    assert body["status"] == status
    assert body["code"] == code
    assert body["type"] == f"about:blank#{code}"
    assert body["detail"]
    assert body["remedy"]
    return body


async def test_each_kind_of_error_has_the_same_shape(client: Client, sign_in: SignIn) -> None:
    patrol = await sign_in(Role.PATROL, "demo")
    body = check(await client.get("/api/v1/accounts"), 401, "unauthenticated")
    assert body["instance"] == "/api/v1/accounts"
    check(await patrol.get("/api/v1/accounts"), 403, "forbidden")
    check(await patrol.get("/api/v1/nothing/here"), 404, "not-found")
    check(await patrol.get("/api"), 404, "not-found")
    wrong = await client.put("/api/v1/sessions")
    check(wrong, 405, "method-not-allowed")
    assert wrong.headers["allow"] == "POST"
    assert "www-authenticate" in (await client.get("/api/v1/accounts")).headers
    for content in (b"{", b"[]", b"\xff\xfe", b"null", b'{"username": "x"}'):
        answer = await client.post(
            "/api/v1/sessions", content=content, headers={"Content-Type": "application/json"}
        )
        body = check(answer, 422, "invalid-input")
        assert body["errors"]
    deep = await client.post(
        "/api/v1/sessions",
        content=b'{"a":' * 100_000,
        headers={"Content-Type": "application/json"},
    )
    assert 400 <= deep.status_code < 500
    answer = await client.post("/api/v1/sessions", json={"username": 5, "password": ["pw-leak"]})
    body = check(answer, 422, "invalid-input")
    fields = {item["field"] for item in body["errors"]}  # type: ignore[attr-defined]
    assert fields == {"username", "password"}
    assert "pw-leak" not in answer.text


async def test_a_crash_shows_a_number_and_nothing_of_the_inside(
    app: FastAPI, client: Client, sign_in: SignIn
) -> None:
    router = APIRouter()

    @router.get("/crash")
    async def crash(_actor: Annotated[Actor, permit("session.read")]) -> None:
        raise RuntimeError("inside: /etc/secret and hunter2")

    @router.get("/broken")
    async def broken() -> None:
        raise HubError("Broken.", remedy="Mend it.", code="broken", detail={"status": 1, "more": 2})

    app.include_router(router)
    app.router.routes.insert(0, app.router.routes.pop())  # before the console's catch-all
    patrol = await sign_in(Role.PATROL, "demo")
    with structlog.testing.capture_logs() as lines:
        answer = await patrol.get("/crash")
    body = check(answer, 500, "internal")
    for inside in ("hunter2", "RuntimeError", "Traceback", "/etc"):
        assert inside not in answer.text
    number = body["request_id"]
    assert str(number) in str(body["detail"])
    assert answer.headers["X-Request-Id"] == number
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    crashed = [line for line in lines if line["event"] == "crashed"]
    assert len(crashed) == 1

    body = check(await client.get("/broken"), 500, "broken")
    assert body["more"] == 2, "an error may carry more, but not replace the members"


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "cursor=" + "x" * 501])
async def test_a_wrong_page_is_a_wrong_field(sign_in: SignIn, query: str) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    body = check(await admin.get(f"/api/v1/accounts?{query}"), 422, "invalid-input")
    assert body["errors"][0]["field"] == query.split("=", maxsplit=1)[0]  # type: ignore[index]


async def test_secrets_stay_secret(
    client: Client, sign_in: SignIn, capfd: pytest.CaptureFixture[str]
) -> None:
    """No password, token, cookie or CSRF token in a log line, a URL or an error."""
    configure_logging("debug")
    logging.getLogger().setLevel(logging.DEBUG)
    admin = await sign_in(Role.ADMINISTRATOR)
    secrets = ["hunter2hunter2", admin.session_token, admin.csrf_token]
    made = await admin.post(
        "/api/v1/accounts",
        json={"username": "nobody1", "display_name": "N", "password": secrets[0], "roles": []},
    )
    assert made.status_code == 201
    issued = await admin.post("/api/v1/tokens", json={"name": "t", "scopes": ["signal.post"]})
    secrets.append(issued.json()["token"])
    texts = [made.text]
    for password in (secrets[0], secrets[0] + "!"):
        answer = await client.post(
            "/api/v1/sessions", json={"username": "nobody1", "password": password}
        )
        texts.append(answer.text)
    texts += [
        (await client.post("/api/v1/sessions", json={"password": secrets[0], "user": 1})).text,
        (
            await client.get(
                "/api/v1/incidents", headers={"Authorization": f"Bearer {secrets[3]}x"}
            )
        ).text,
        (await client.get("/api/v1/accounts", headers=admin.cookie_header)).text,
        (await admin.get("/api/v1/tokens")).text,
        (await client.get("/api/v1/openapi.json")).text,
    ]
    out = capfd.readouterr()
    configure_logging("error")
    for secret in secrets:
        for text in (*texts, out.out, out.err):
            assert secret not in text
    assert "request" in out.out + out.err, "the access log is on"


async def test_requests_are_counted_by_route_and_never_by_id(
    sign_in: SignIn, service_client: ServiceClient
) -> None:
    patrol, scraper = await sign_in(Role.PATROL, "demo"), await service_client(["metrics.read"])
    wanted = new_id()
    assert (await patrol.get(f"/api/v1/incidents/{wanted}")).status_code == 404
    assert (await patrol.get(f"/{wanted}/nowhere.php")).status_code == 404
    metrics = await scraper.get("/api/v1/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    label = 'method="GET",route="/incidents/{incident_id}",status="404"'
    assert f"camera_hub_http_requests_total{{{label}}}" in metrics.text
    assert str(wanted) not in metrics.text


async def test_metrics_are_for_tokens_and_for_this_machine_itself(
    client: Client,
) -> None:
    assert (await client.get("/api/v1/metrics")).status_code == 200, "the peer is 127.0.0.1"
    for header in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"):
        answer = await client.get("/api/v1/metrics", headers={header: "for=192.0.2.1"})
        assert answer.status_code == 401, "it came through a proxy"
