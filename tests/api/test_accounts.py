"""Accounts and tokens over HTTP: who may change whom, and what follows from it."""

import asyncio
from datetime import timedelta

import pytest

from access.policy.types import Role
from api.door import still_permitted
from api.hub import Hub
from core.clock import ManualClock
from core.errors import ConflictError
from tests.support.http import PASSWORD, Client, ServiceClient, SignIn
from tests.support.waiting import until

BOTH_STORES = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)


def new_account(username: str, *roles: tuple[str, str]) -> dict[str, object]:
    return {
        "username": username,
        "display_name": "Somebody",
        "password": "long enough for us",
        "roles": [{"role": role, "area": area} for role, area in roles],
        "locale": "en",
    }


@BOTH_STORES
async def test_an_account_is_made_listed_changed_and_switched_off(
    client: Client, sign_in: SignIn
) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    made = await admin.post(
        "/api/v1/accounts", json=new_account("Li.Na", ("patrol", "demo"), ("operator", "demo/a/"))
    )
    assert made.status_code == 201, made.text
    body = made.json()
    assert body["username"] == "li.na"
    assert body["active"]
    assert {(r["role"], r["area"]) for r in body["roles"]} == {
        ("patrol", "demo"),
        ("operator", "demo/a"),
    }
    assert "long enough for us" not in made.text
    assert (await admin.post("/api/v1/accounts", json=new_account("LI.NA", ("patrol", "")))).json()[
        "code"
    ] == "username-taken"

    credentials = {"username": "li.na", "password": "long enough for us"}
    assert (await client.post("/api/v1/sessions", json=credentials)).status_code == 201
    assert (await client.get("/api/v1/sessions/current")).status_code == 200

    url = f"/api/v1/accounts/{body['id']}"
    changed = await admin.patch(url, json={"display_name": " 李  娜 ", "roles": []})
    assert changed.json()["display_name"] == "李 娜"
    assert changed.json()["roles"] == []
    assert (await client.get("/api/v1/incidents")).status_code == 403, "at the very next request"

    assert (await admin.patch(url, json={"active": False})).json()["active"] is False
    assert (await client.get("/api/v1/sessions/current")).status_code == 401
    refused = await client.post("/api/v1/sessions", json=credentials)
    assert refused.json()["code"] == "invalid-credentials"
    assert (await admin.patch(url, json={"active": True})).status_code == 200
    assert (await client.get("/api/v1/sessions/current")).status_code == 401, "sessions stay ended"

    names = [item["username"] for item in (await admin.get("/api/v1/accounts")).json()["items"]]
    assert "li.na" in names
    assert names == sorted(names)


async def test_a_new_password_ends_the_sessions_of_the_old_one(
    client: Client, sign_in: SignIn
) -> None:
    admin, victim = await sign_in(Role.ADMINISTRATOR), await sign_in(Role.PATROL, "demo")
    url = f"/api/v1/accounts/{victim.account_id}"
    assert (await admin.patch(url, json={"password": "a new one, longer"})).status_code == 200
    assert (await victim.get("/api/v1/sessions/current")).status_code == 401
    for password, status in ((PASSWORD, 401), ("a new one, longer", 201)):
        body = {"username": victim.username, "password": password}
        assert (await client.post("/api/v1/sessions", json=body)).status_code == status


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"username": "ab"}, "invalid-username"),
        ({"username": "has space"}, "invalid-username"),
        ({"username": "-dash"}, "invalid-username"),
        ({"username": "a\u202eb\u202ec"}, "invalid-username"),
        ({"password": "short"}, "weak-password"),
        ({"username": "longusername", "password": "LongUsername"}, "weak-password"),
        ({"password": "aaaaaaaaaaaa"}, "weak-password"),
        ({"password": "x" * 300}, "weak-password"),
        ({"display_name": "  "}, "invalid-display-name"),
        ({"locale": "tlh"}, "invalid-locale"),
        ({"roles": [{"role": "service", "area": ""}]}, "invalid-role"),
        ({"roles": [{"role": "king", "area": ""}]}, "invalid-input"),
        ({"roles": [{"role": "patrol", "area": "../x"}]}, "invalid-area"),
        ({"is_admin": True}, "invalid-input"),
    ],
)
async def test_what_cannot_be_an_account_says_why(
    sign_in: SignIn, change: dict[str, object], code: str
) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    body = new_account("somebody", ("patrol", "demo")) | change
    answer = await admin.post("/api/v1/accounts", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["detail"]
    assert answer.json()["remedy"]
    assert str(body["password"]) not in answer.text


async def test_nobody_changes_their_own_rights(sign_in: SignIn) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    url = f"/api/v1/accounts/{admin.account_id}"
    more = [{"role": "administrator", "area": ""}, {"role": "operator", "area": ""}]
    for change in ({"roles": more}, {"roles": []}, {"active": False}, {"active": True}):
        assert (await admin.patch(url, json=change)).status_code == 403
    assert (await admin.patch(url, json={"display_name": "Me"})).status_code == 200


async def test_an_administrator_of_an_area_stays_inside_it(sign_in: SignIn) -> None:
    chief = await sign_in(Role.ADMINISTRATOR, "")
    local = await sign_in(Role.ADMINISTRATOR, "demo/here")
    inside = await sign_in(Role.PATROL, "demo/here/cell")
    outside = await sign_in(Role.PATROL, "demo/there")
    for roles in (
        [("patrol", "demo")],
        [("patrol", "")],
        [("patrol", "demo/here"), ("operator", "demo/there")],
        [],
    ):
        body = new_account("new-one", *roles)
        assert (await local.post("/api/v1/accounts", json=body)).status_code == 403, roles
    made = await local.post(
        "/api/v1/accounts", json=new_account("new-one", ("patrol", "demo/here"))
    )
    assert made.status_code == 201

    for somebody in (outside, chief):
        url = f"/api/v1/accounts/{somebody.account_id}"
        for change in ({"password": "taken over now"}, {"active": False}, {"display_name": "x"}):
            assert (await local.patch(url, json=change)).status_code == 404
    url = f"/api/v1/accounts/{inside.account_id}"
    widen = {"roles": [{"role": "patrol", "area": "demo"}]}
    assert (await local.patch(url, json=widen)).status_code == 403
    assert (await local.patch(url, json={"active": False})).status_code == 200

    listed = {i["username"] for i in (await local.get("/api/v1/accounts")).json()["items"]}
    assert listed == {local.username, inside.username, "new-one"}


@BOTH_STORES
async def test_two_administrators_cannot_switch_each_other_off_at_once(
    hub: Hub, sign_in: SignIn
) -> None:
    """Nobody would be left; the command line goes through the same service."""
    pair = [await sign_in(Role.ADMINISTRATOR), await sign_in(Role.ADMINISTRATOR)]
    await sign_in(Role.ADMINISTRATOR, "demo")

    async def remove(who: Client, **change: object) -> str:
        try:
            async with hub.database.transaction() as session:
                account = await hub.accounts.get(session, who.account_id)
                await hub.accounts.update(session, account, **change)  # type: ignore[arg-type]
        except ConflictError as error:
            return error.code
        return "done"

    answers = await asyncio.gather(remove(pair[0], active=False), remove(pair[1], roles=[]))
    assert sorted(answers) == ["done", "last-administrator"]


@BOTH_STORES
async def test_a_token_works_until_it_expires_or_is_revoked(
    client: Client, sign_in: SignIn, clock: ManualClock
) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    expires_at = (clock.now() + timedelta(hours=1)).isoformat()
    secrets = []
    for body in (
        {"name": "short", "scopes": ["system.read"], "expires_at": expires_at},
        {"name": "long", "scopes": ["system.read"]},
    ):
        made = await admin.post("/api/v1/tokens", json=body)
        assert made.status_code == 201, made.text
        secrets.append(made.json())
    assert all(item["token"].startswith("chub_") for item in secrets)

    async def use(item: dict[str, str]) -> int:
        headers = {"Authorization": f"Bearer {item['token']}"}
        return (await client.get("/api/v1/system", headers=headers)).status_code

    assert [await use(item) for item in secrets] == [200, 200]
    listing = await admin.get("/api/v1/tokens")
    assert not any(item["token"] in listing.text for item in secrets), "shown once"

    async def both_seen() -> bool:
        items = (await admin.get("/api/v1/tokens")).json()["items"]
        return all(item["last_used_at"] for item in items)

    await until(both_seen)
    clock.advance(3600)
    assert [await use(item) for item in secrets] == [401, 200]
    url = f"/api/v1/tokens/{secrets[1]['id']}"
    assert (await admin.delete(url)).status_code == 204
    assert [await use(item) for item in secrets] == [401, 401]
    assert (await admin.delete(url)).status_code == 404


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": "x", "scopes": ["camera.live"]}, "invalid-scope"),
        ({"name": "x", "scopes": ["account.create"]}, "invalid-scope"),
        ({"name": "x", "scopes": []}, "invalid-input"),
        ({"name": " ", "scopes": ["signal.post"]}, "invalid-name"),
        (
            {"name": "x", "scopes": ["signal.post"], "expires_at": "2001-01-01T00:00:00Z"},
            "invalid-expiry",
        ),
        (
            {"name": "x", "scopes": ["signal.post"], "expires_at": "2099-01-01T00:00:00"},
            "invalid-input",
        ),
    ],
)
async def test_a_token_that_must_not_be_says_why(
    sign_in: SignIn, body: dict[str, object], code: str
) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    answer = await admin.post("/api/v1/tokens", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_open_streams_notice_sign_out_demotion_and_revocation(
    hub: Hub, sign_in: SignIn, service_client: ServiceClient
) -> None:
    from access.accounts.service import actor_of as account_actor
    from access.tokens.service import actor_of as token_actor

    admin = await sign_in(Role.ADMINISTRATOR)
    leaver, demoted = await sign_in(Role.PATROL, "demo"), await sign_in(Role.PATROL, "demo")
    service = await service_client(["event.stream"])
    async with hub.database.read() as session:
        actors = [
            account_actor(await hub.accounts.get(session, who.account_id), who.session_id)
            for who in (leaver, demoted)
        ] + [token_actor(await hub.tokens.get(session, service.account_id))]

    async def permitted() -> list[bool]:
        return list(
            await asyncio.gather(*(still_permitted(hub, a, "event.stream") for a in actors))
        )

    assert await permitted() == [True, True, True]
    assert (await leaver.delete("/api/v1/sessions/current")).status_code == 204
    await admin.patch(
        f"/api/v1/accounts/{demoted.account_id}",
        json={"roles": [{"role": "resident", "area": "demo"}]},
    )
    await admin.delete(f"/api/v1/tokens/{service.account_id}")
    assert await permitted() == [False, False, False]


@BOTH_STORES
async def test_pages_show_everything_once(sign_in: SignIn, hub: Hub) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    made = {(await sign_in(Role.PATROL, "demo")).username for _ in range(6)} | {admin.username}
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = (await admin.get("/api/v1/accounts", params=query)).json()
        seen += [item["username"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen))
    assert set(seen) == made


@pytest.mark.parametrize("cursor", ["x", "WzFd", "W10", "bnVsbA", "Éé", "WyJhIiwiYiJd", "=" * 9])
async def test_a_bad_cursor_is_said_to_be_one(sign_in: SignIn, cursor: str) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    for path in ("accounts", "tokens"):
        answer = await admin.get(f"/api/v1/{path}", params={"cursor": cursor})
        assert (answer.status_code, answer.json()["code"]) == (422, "bad-cursor")
