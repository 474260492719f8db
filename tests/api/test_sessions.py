"""Signing in and out over HTTP."""

from datetime import timedelta

import pytest
from fastapi import FastAPI

from access.policy.types import Actor, Role, RoleBinding
from access.sessions.service import ABSOLUTE_LIMIT, IDLE_LIMIT
from api.door import COOKIE, CSRF_HEADER, still_permitted
from api.hub import Hub
from core.clock import ManualClock
from tests.support.http import PASSWORD, Client, SignIn, password_hash
from tests.support.logs import captured_logs


@pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)
async def test_sign_in_use_and_sign_out(hub: Hub, client: Client) -> None:
    async with hub.database.transaction() as session:
        await hub.accounts.create(
            session,
            username="  Wang.Fang ",
            display_name="王芳",
            password=password_hash(),
            roles=[RoleBinding(Role.DUTY_STAFF, "demo/riverside")],
        )
    answer = await client.post(
        "/api/v1/sessions", json={"username": "WANG.FANG", "password": PASSWORD}
    )
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert body["account"]["username"] == "wang.fang"
    assert body["account"]["roles"] == [{"role": "duty_staff", "area": "demo/riverside"}]
    assert "incident.close" in body["actions"]
    assert "camera.create" not in body["actions"]
    cookie = answer.headers["set-cookie"]
    for part in (f"{COOKIE}=", "HttpOnly", "SameSite=strict", "Path=/"):
        assert part in cookie
    assert "Secure" not in cookie

    current = await client.get("/api/v1/sessions/current")
    assert current.json()["csrf_token"] == body["csrf_token"]

    without = await client.delete("/api/v1/sessions/current")
    assert (without.status_code, without.json()["code"]) == (403, "csrf")
    headers = {CSRF_HEADER: body["csrf_token"]}
    assert (await client.delete("/api/v1/sessions/current", headers=headers)).status_code == 204
    assert (await client.get("/api/v1/sessions/current")).status_code == 401
    client.cookies.set(COOKIE, cookie.split("=", 1)[1].split(";")[0])
    replayed = await client.get("/api/v1/sessions/current")
    assert replayed.status_code == 401, "the server, not the browser, must end a session"


async def test_unknown_user_and_wrong_password_look_the_same(
    client: Client, sign_in: SignIn
) -> None:
    known = await sign_in(Role.PATROL, "demo")
    answers = [
        await client.post("/api/v1/sessions", json={"username": name, "password": "not it at all"})
        for name in (known.username, "nobody-here", "x", "名" * 70)
    ]
    bodies = [answer.json() for answer in answers]
    assert {answer.status_code for answer in answers} == {401}
    assert all(body == bodies[0] for body in bodies)
    assert bodies[0]["code"] == "invalid-credentials"


async def test_idle_and_absolute_limits_end_a_session(
    hub: Hub, sign_in: SignIn, clock: ManualClock
) -> None:
    idle, busy = await sign_in(Role.PATROL, "a"), await sign_in(Role.PATROL, "a")
    step = IDLE_LIMIT - timedelta(minutes=2)
    clock.advance(step.total_seconds())
    assert (await busy.get("/api/v1/sessions/current")).status_code == 200
    clock.advance(timedelta(minutes=2).total_seconds())
    assert (await idle.get("/api/v1/sessions/current")).status_code == 401
    used = step + timedelta(minutes=2)
    while used < ABSOLUTE_LIMIT:
        assert (await busy.get("/api/v1/sessions/current")).status_code == 200
        clock.advance(step.total_seconds())
        used += step
    assert (await busy.get("/api/v1/sessions/current")).status_code == 401


async def test_session_fixation_is_not_possible(client: Client, sign_in: SignIn) -> None:
    """A cookie planted before sign-in is neither taken over nor left alive."""
    attacker = await sign_in(Role.PATROL, "demo")
    victim = await sign_in(Role.SUPERVISOR, "demo")
    for planted in ("planted-by-somebody", attacker.session_token):
        client.cookies.set(COOKIE, planted, domain="testserver.local")
        answer = await client.post(
            "/api/v1/sessions",
            json={"username": victim.username, "password": PASSWORD},
            headers={"Cookie": f"{COOKIE}={planted}"},
        )
        assert answer.status_code == 201
        fresh = answer.headers["set-cookie"].split("=", 1)[1].split(";")[0]
        assert fresh not in {planted, victim.session_token}
    assert (await attacker.get("/api/v1/sessions/current")).status_code == 401


async def test_guessing_is_slowed_down_for_one_account_at_one_place_only(
    client: Client, sign_in: SignIn, clock: ManualClock, app: FastAPI
) -> None:
    target, colleague = await sign_in(Role.PATROL, "demo"), await sign_in(Role.PATROL, "demo")

    async def attempt(username: str, password: str) -> int:
        body = {"username": username, "password": password}
        answer = await client.post("/api/v1/sessions", json=body)
        if answer.status_code == 429:
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.json()["code"] == "too-many-attempts"
        return answer.status_code

    assert [await attempt(target.username, "a wrong guess") for _ in range(5)] == [401] * 5
    assert await attempt(target.username, PASSWORD) == 429
    assert await attempt(colleague.username, PASSWORD) == 201, "a colleague is not locked out"
    clock.advance(2)
    assert await attempt(target.username, PASSWORD) == 201, "the delay is seconds, not for good"
    assert await attempt(target.username, "a wrong guess") == 401, "and is forgotten after success"


async def test_an_open_stream_counts_as_use(hub: Hub, sign_in: SignIn, clock: ManualClock) -> None:
    """A wall that shows the queue all night does not fall silent, but not for ever either."""
    wall = await sign_in(Role.PATROL, "demo")
    actor = Actor(kind="account", id=wall.account_id, session_id=wall.session_id)
    watched = timedelta()
    while watched < ABSOLUTE_LIMIT:
        assert await still_permitted(hub, actor, "event.stream")
        clock.advance(3600)
        watched += timedelta(hours=1)
    assert not await still_permitted(hub, actor, "event.stream")


async def test_sign_ins_and_what_was_refused_are_logged_with_who_and_from_where(
    client: Client, sign_in: SignIn
) -> None:
    patrol = await sign_in(Role.PATROL, "demo")
    with captured_logs() as lines:
        for password in ("not the right one", PASSWORD):
            body = {"username": patrol.username, "password": password}
            await client.post("/api/v1/sessions", json=body)
        assert (await patrol.get("/api/v1/accounts")).status_code == 403
    by_event = {line["event"]: line for line in lines if line["event"] != "request"}
    for event in ("sign_in_refused", "password_accepted"):
        assert by_event[event]["account"] == str(patrol.account_id)
        assert by_event[event]["address"]
    refused = [line for line in lines if line["event"] == "request" and line["status"] == 403]
    assert [line["actor"] for line in refused] == [f"account:{patrol.account_id}"]
    assert refused[0]["path"] == "/api/v1/accounts"
    assert PASSWORD not in str(lines)


async def test_a_password_of_any_letters_and_of_64_or_more_is_taken(sign_in: SignIn) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    for n, password in enumerate(
        ("abcdef ghijkl mnop", "一二三四五六七八九十 雨", "long and plain " * 8)
    ):
        body = {"username": f"somebody{n}", "display_name": "X", "roles": [], "password": password}
        made = await admin.post("/api/v1/accounts", json=body)
        assert made.status_code == 201, made.text
