"""Second factors over HTTP: enrolled, asked for, used once, reset by somebody else."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pyotp
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from access.accounts.throttle import ADDRESS_FREE_TRIES, FREE_TRIES, Throttle, TooManyAttemptsError
from access.factors import recovery, totp
from access.factors.challenges import TRIES
from access.policy.types import Role
from api.door import COOKIE, CSRF_HEADER, actor_now
from api.hub import Hub, build_hub
from core.clock import ManualClock
from core.settings import AccessSettings, Settings
from tests.support.authenticator import Authenticator
from tests.support.http import PASSWORD, Client, SignIn

BOTH_STORES = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)
ME = "/api/v1/accounts/me"
SECOND = "/api/v1/sessions/second-factor"
PROOF = {"password": PASSWORD}


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[Client]:
    """Nobody, at an address where browsers offer passkeys."""
    async with Client(
        transport=httpx.ASGITransport(app=app), base_url="http://localhost"
    ) as client:
        yield client


def at_localhost(client: Client) -> Client:
    """Let a client that is signed in talk to the address where browsers offer passkeys."""
    client.headers["Cookie"] = f"{COOKIE}={client.session_token}"
    client.base_url = httpx.URL("http://localhost")
    return client


async def enrol_totp(client: Client, clock: ManualClock) -> tuple[str, list[str]]:
    """Set up an authenticator app; return its secret and the recovery codes."""
    begun = await client.post(f"{ME}/totp", json=PROOF)
    assert begun.status_code == 200, begun.text
    secret = begun.json()["secret"]
    body = {"code": pyotp.TOTP(secret).at(clock.now())}
    done = await client.post(f"{ME}/totp/confirm", json=body)
    assert done.status_code == 200, done.text
    clock.advance(60)  # the code that confirmed counts no more
    return secret, done.json()["recovery_codes"]


async def enrol_passkey(client: Client, name: str = "Phone") -> Authenticator:
    """Add a passkey to the account that is signed in at `client`."""
    device = Authenticator()
    asked = (await client.post(f"{ME}/passkeys/options", json=PROOF)).json()
    body = {"challenge": asked["challenge"], "credential": device.make(asked["options"])}
    made = await client.post(f"{ME}/passkeys", json=body | {"name": name})
    assert made.status_code == 201, made.text
    return device


async def first_step(client: Client, username: str) -> dict[str, Any]:
    """Sign in with the password; return the challenge for the second step."""
    answer = await client.post("/api/v1/sessions", json={"username": username, **PROOF})
    assert answer.status_code == 202, answer.text
    assert "set-cookie" not in answer.headers, "the challenge is not a session"
    found: dict[str, Any] = answer.json()
    return found


async def second(client: Client, step: dict[str, Any], method: str, **more: Any) -> httpx.Response:
    """Answer the second step."""
    body = {"challenge": step["challenge"], "method": method, **more}
    return await client.post(SECOND, json=body)


@BOTH_STORES
async def test_a_code_of_the_app_is_asked_for_and_counts_once(
    hub: Hub, client: Client, sign_in: SignIn, clock: ManualClock
) -> None:
    holder = await sign_in(Role.PATROL, "demo")
    secret, codes = await enrol_totp(holder, clock)
    assert len(set(codes)) == recovery.COUNT
    async with hub.database.read() as session:
        stored = str((await session.execute(text("SELECT * FROM totp_secret"))).all())
        stored += str((await session.execute(text("SELECT * FROM recovery_code"))).all())
    assert secret not in stored, "the secret is sealed"
    assert not any(code in stored for code in codes), "recovery codes are hashed"

    step = await first_step(client, holder.username)
    assert step["methods"] == ["totp", "recovery"]
    code = pyotp.TOTP(secret).at(clock.now())
    for asked in ("/api/v1/sessions/current", f"{ME}", "/api/v1/incidents"):
        cookie = {"Cookie": f"{COOKIE}={step['challenge']}"}
        assert (await client.get(asked, headers=cookie)).status_code == 401
    answer = await second(client, step, "totp", code=code)
    assert answer.status_code == 201, answer.text
    assert COOKIE in answer.headers["set-cookie"]

    again = await second(client, step, "totp", code=pyotp.TOTP(secret).at(clock.now()))
    assert again.json()["code"] == "challenge-expired"
    replayed = await second(client, await first_step(client, holder.username), "totp", code=code)
    assert (replayed.status_code, replayed.json()["code"]) == (401, "wrong-code")


@BOTH_STORES
async def test_of_many_at_once_with_one_code_one_gets_in(
    client: Client, sign_in: SignIn, clock: ManualClock
) -> None:
    holder = await sign_in(Role.PATROL, "demo")
    secret, codes = await enrol_totp(holder, clock)
    for method, code in (("totp", pyotp.TOTP(secret).at(clock.now())), ("recovery", codes[0])):
        steps = [await first_step(client, holder.username) for _ in range(3)]
        answers = await asyncio.gather(*(second(client, s, method, code=code) for s in steps))
        assert sorted(a.status_code for a in answers) == [201, 401, 401], method
        clock.advance(60)
    mine = (await holder.get(ME)).json()
    assert mine["recovery_codes_left"] == recovery.COUNT - 1


def test_the_clock_of_a_phone_may_be_one_step_off() -> None:
    clock, secret = ManualClock(), totp.new_secret()
    app = pyotp.TOTP(secret)
    for seconds, accepted in ((-60, False), (-30, True), (0, True), (30, True), (60, False)):
        code = app.at(int(clock.now().timestamp()) + seconds)
        assert (totp.matching_step(secret, code, clock.now()) is not None) is accepted, seconds
    for nonsense in ("", "12345", "1234567", "١٢٣٤٥٦", "12345a"):
        assert totp.matching_step(secret, nonsense, clock.now()) is None


def test_a_recovery_code_is_known_however_it_is_typed() -> None:
    code = recovery.new_codes()[0]
    for typed in (code.upper(), code.replace("-", " "), code.replace("-", ""), f" {code} "):
        assert recovery.digest(typed) == recovery.digest(code)
    assert re.fullmatch(r"([a-z2-7]{4}-){5}[a-z2-7]{4}", code)


async def test_the_picture_holds_the_secret_and_no_more_than_the_secret(
    sign_in: SignIn,
) -> None:
    holder = await sign_in(Role.PATROL, "demo")
    begun = (await holder.post(f"{ME}/totp", json=PROOF)).json()
    assert begun["secret"] in begun["uri"]
    assert begun["uri"].startswith("otpauth://totp/")
    assert begun["qr_svg"].startswith("<svg")
    assert "script" not in begun["qr_svg"]
    assert (await holder.get(ME)).json()["totp"] is False, "it does not count before a code"


async def test_a_session_alone_changes_no_way_to_sign_in(sign_in: SignIn) -> None:
    holder = at_localhost(await sign_in(Role.PATROL, "demo"))
    wrong = {"password": "not my password"}
    tries = [
        ("POST", f"{ME}/totp", wrong),
        ("DELETE", f"{ME}/totp", wrong),
        ("POST", f"{ME}/passkeys/options", wrong),
        ("PUT", f"{ME}/password", {"current": "not my password", "new": "quite another one"}),
        ("POST", f"{ME}/recovery-codes", wrong),
    ]
    for method, path, body in tries:
        answer = await holder.request(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "wrong-password"), path
    guessed = await holder.post(f"{ME}/oidc", json=wrong)
    assert guessed.status_code == 429, "a stolen session cannot guess on and on"


@BOTH_STORES
async def test_guesses_of_a_second_factor_are_few_and_lock_nobody_else_out(
    client: Client, sign_in: SignIn, clock: ManualClock
) -> None:
    holder = await sign_in(Role.PATROL, "demo")
    secret, _ = await enrol_totp(holder, clock)
    step = await first_step(client, holder.username)
    for _ in range(TRIES):
        answer = await second(client, step, "totp", code="000000")
        assert (answer.status_code, answer.json()["code"]) == (401, "wrong-code")
    right = pyotp.TOTP(secret).at(clock.now())
    assert (await second(client, step, "totp", code=right)).status_code in {401, 429}
    step = await first_step(client, holder.username)
    slowed = await second(client, step, "totp", code=right)
    assert (slowed.status_code, slowed.json()["code"]) == (429, "too-many-attempts")
    clock.advance(2)
    right = pyotp.TOTP(secret).at(clock.now())
    assert (await second(client, step, "totp", code=right)).status_code == 201, "a slow-down only"


def test_whoever_guesses_elsewhere_does_not_slow_down_the_usual_place(clock: ManualClock) -> None:
    throttle = Throttle(clock)
    for number in range(ADDRESS_FREE_TRIES):
        throttle.attempt_second_step("li", f"198.51.100.{number}", known=False)
    with pytest.raises(TooManyAttemptsError) as slowed:
        throttle.attempt_second_step("li", "198.51.100.99", known=False)
    assert slowed.value.retry_after <= 4
    for _ in range(FREE_TRIES):
        throttle.attempt_second_step("li", "192.0.2.7", known=True)
    throttle.attempt_second_step("wang", "198.51.100.99", known=False)


@BOTH_STORES
async def test_a_passkey_signs_in_alone_and_after_the_password(
    browser: Client, sign_in: SignIn
) -> None:
    holder = at_localhost(await sign_in(Role.PATROL, "demo"))
    device = await enrol_passkey(holder)
    spare = await enrol_passkey(holder, "Key in the safe")
    mine = (await holder.get(ME)).json()
    assert [p["name"] for p in mine["passkeys"]] == ["Phone", "Key in the safe"]
    assert mine["recovery_codes_left"] == recovery.COUNT

    asked = (await browser.post("/api/v1/sessions/passkey/options")).json()
    assert asked["options"]["userVerification"] == "required"
    body = {"challenge": asked["challenge"], "credential": device.sign(asked["options"])}
    answer = await browser.post("/api/v1/sessions/passkey", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["account"]["username"] == holder.username
    replayed = await browser.post("/api/v1/sessions/passkey", json=body)
    assert replayed.status_code == 401, "answer and challenge count once"
    again = body | {"credential": device.sign(asked["options"])}
    answer = await browser.post("/api/v1/sessions/passkey", json=again)
    assert answer.json()["code"] == "challenge-expired", "the challenge counts once"

    step = await first_step(browser, holder.username)
    assert step["methods"] == ["passkey", "recovery"]
    credential = spare.sign(step["passkey_options"], verified=False)
    answer = await second(browser, step, "passkey", credential=credential)
    assert answer.status_code == 201, "after the password a touch is enough"


async def test_false_answers_of_passkeys_open_nothing(browser: Client, sign_in: SignIn) -> None:
    holder = at_localhost(await sign_in(Role.PATROL, "demo"))
    other = at_localhost(await sign_in(Role.PATROL, "demo"))
    device, foreign = await enrol_passkey(holder), await enrol_passkey(other)

    async def alone(make: Any) -> tuple[int, str]:
        asked = (await browser.post("/api/v1/sessions/passkey/options")).json()
        body = {"challenge": asked["challenge"], "credential": make(asked["options"])}
        answer = await browser.post("/api/v1/sessions/passkey", json=body)
        return answer.status_code, answer.json().get("code", "")

    refused = (401, "passkey-refused")
    assert await alone(lambda o: device.sign(o, origin="http://localhost.evil")) == refused
    assert await alone(lambda o: device.sign(o, origin="https://localhost")) == refused
    assert await alone(lambda o: device.sign(o, rp_id="evil")) == refused
    assert await alone(lambda o: device.sign(o, verified=False)) == refused
    assert await alone(lambda o: device.sign(o, challenge="AAAA")) == refused
    assert await alone(lambda o: device.sign(o, user=foreign.user)) == refused
    assert await alone(lambda o: Authenticator().sign(o)) == refused
    for junk in ({}, {"id": 3}, {"id": "é", "rawId": "%"}, {"rawId": "A" * 2000}):
        assert await alone(lambda _, junk=junk: junk) == refused
    broken = device.sign({"challenge": "AAAA"})
    for part in ("clientDataJSON", "authenticatorData", "signature"):
        strange: list[Any] = ["", "AAAA", "////", 7, None, []]
        for value in strange:
            bent = {**broken, "response": {**broken["response"], part: value}}
            assert await alone(lambda _, bent=bent: bent) == refused, (part, value)
    assert (await alone(device.sign))[0] == 201
    assert await alone(lambda o: device.sign(o, count=device.count)) == refused, "a copied device"

    step = await first_step(browser, holder.username)
    answer = await second(
        browser, step, "passkey", credential=foreign.sign(step["passkey_options"])
    )
    assert (answer.status_code, answer.json()["code"]) == refused


async def test_a_challenge_to_enrol_belongs_to_its_account_and_ceremony(
    browser: Client, sign_in: SignIn, clock: ManualClock
) -> None:
    holder = at_localhost(await sign_in(Role.PATROL, "demo"))
    other = at_localhost(await sign_in(Role.PATROL, "demo"))
    device = Authenticator()
    asked = (await holder.post(f"{ME}/passkeys/options", json=PROOF)).json()
    credential = device.make(asked["options"])
    body = {"challenge": asked["challenge"], "credential": credential, "name": "x"}
    stolen = await other.post(f"{ME}/passkeys", json=body)
    assert (stolen.status_code, stolen.json()["code"]) == (401, "challenge-expired")
    wrong = await second(browser, asked, "passkey", credential=credential)
    assert wrong.json()["code"] == "challenge-expired"
    elsewhere = body | {"credential": device.make(asked["options"], origin="http://evil")}
    assert (await holder.post(f"{ME}/passkeys", json=elsewhere)).json()["code"] == "passkey-refused"
    clock.advance(301)
    assert (await holder.post(f"{ME}/passkeys", json=body)).json()["code"] == "challenge-expired"


async def test_where_browsers_refuse_passkeys_the_hub_says_what_to_do(
    app: FastAPI, hub: Hub
) -> None:
    for base, code in (
        ("http://127.0.0.1:8480", "passkeys-unavailable"),
        ("http://testserver", "public-url-needed"),
    ):
        async with Client(transport=httpx.ASGITransport(app=app), base_url=base) as client:
            answer = await client.post("/api/v1/sessions/passkey/options")
        assert (answer.status_code, answer.json()["code"]) == (409, code)
        assert answer.json()["remedy"]
    assert "localhost:8480" in (await _offer(app, "http://127.0.0.1:8480"))["remedy"]


async def _offer(app: FastAPI, base: str) -> dict[str, Any]:
    async with Client(transport=httpx.ASGITransport(app=app), base_url=base) as client:
        found: dict[str, Any] = (await client.post("/api/v1/sessions/passkey/options")).json()
        return found


@BOTH_STORES
async def test_an_administrator_resets_the_factors_of_others_only_and_it_is_on_record(
    hub: Hub, client: Client, sign_in: SignIn, clock: ManualClock
) -> None:
    admin, holder = await sign_in(Role.ADMINISTRATOR), await sign_in(Role.PATROL, "demo")
    await enrol_totp(holder, clock)
    await enrol_totp(admin, clock)
    pending = await first_step(client, holder.username)
    listed = (await admin.get("/api/v1/accounts")).json()["items"]
    assert {i["username"] for i in listed if i["totp"]} == {admin.username, holder.username}
    own = await admin.delete(f"/api/v1/accounts/{admin.account_id}/second-factors")
    assert own.status_code == 403
    path = f"/api/v1/accounts/{holder.account_id}"
    assert (await holder.delete(f"{path}/second-factors")).status_code == 403
    assert (await admin.delete(f"{path}/second-factors")).status_code == 204
    assert (await holder.get("/api/v1/sessions/current")).status_code == 401
    over = await second(client, pending, "totp", code="123456")
    assert over.json()["code"] == "challenge-expired"
    signed = await client.post(
        "/api/v1/sessions", json={"username": holder.username, "password": PASSWORD}
    )
    assert signed.status_code == 201
    assert (await admin.delete(f"{path}/sessions")).status_code == 204
    assert (await client.get("/api/v1/sessions/current")).status_code == 401
    async with hub.database.read() as session:
        query = text("SELECT kind, actor_id FROM ledger_entry WHERE subject = :s ORDER BY seq")
        found = (await session.execute(query, {"s": str(holder.account_id)})).all()
    assert ("account.factors_reset", str(admin.account_id)) in [tuple(row) for row in found]
    assert ("session.ended", str(admin.account_id)) in [tuple(row) for row in found]


async def test_a_password_that_others_know_is_changed_before_anything_else(
    hub: Hub, client: Client, sign_in: SignIn, clock: ManualClock
) -> None:
    admin, holder = await sign_in(Role.ADMINISTRATOR), await sign_in(Role.PATROL, "demo")
    given = "given by the office"
    path = f"/api/v1/accounts/{holder.account_id}"
    assert (await admin.patch(path, json={"password": given})).status_code == 200
    signed = await client.post(
        "/api/v1/sessions", json={"username": holder.username, "password": given}
    )
    assert signed.json()["must"] == "password-change-needed"
    assert set(signed.json()["actions"]) == {"account.self", "session.read", "session.delete"}
    headers = {CSRF_HEADER: signed.json()["csrf_token"]}
    assert (await client.get("/api/v1/incidents")).json()["code"] == "password-change-needed"
    begun = await client.post(f"{ME}/totp", json={"password": given}, headers=headers)
    assert begun.json()["code"] == "password-change-needed"
    me = (await client.get(ME)).json()
    assert me["password_set_by_other"]["by"] == admin.username.title()
    async with hub.database.read() as session:
        found = await hub.sessions.resolve(session, client.cookies[COOKIE])
        assert found is not None
        from access.accounts.service import actor_of

        actor = actor_of(found[1], found[0].id)
    assert await actor_now(hub, actor) is None, "open streams end too"

    same = {"current": given, "new": given}
    answer = await client.put(f"{ME}/password", json=same, headers=headers)
    assert answer.json()["code"] == "same-password"
    before = client.cookies[COOKIE]
    body = {"current": given, "new": "only mine from now on"}
    answer = await client.put(f"{ME}/password", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["must"] is None
    assert client.cookies[COOKIE] != before
    assert (await client.get("/api/v1/incidents")).status_code == 200
    old = {"Cookie": f"{COOKIE}={before}"}
    assert (await holder.get("/api/v1/sessions/current", headers=old)).status_code == 401
    me = (await client.get(ME)).json()
    assert me["password_set_by_other"]["by"], "the holder is still shown that it happened"
    taken = {"password": "a third one, longer"}
    assert (await admin.patch(f"/api/v1/accounts/{admin.account_id}", json=taken)).json()[
        "code"
    ] == "own-password"


@pytest.fixture
async def strict_hub(settings: Settings, clock: ManualClock) -> AsyncIterator[Hub]:
    """A hub whose administrators need a second factor."""
    access = AccessSettings(second_factor_for=("administrator",))
    hub = build_hub(settings.model_copy(update={"access": access}), clock)
    yield hub
    await hub.close()


async def test_a_role_that_needs_a_second_factor_may_only_set_one_up(
    strict_hub: Hub, clock: ManualClock
) -> None:
    from access.policy.types import RoleBinding
    from api.app import create_app
    from tests.support.http import password_hash

    async with strict_hub.database.transaction() as session:
        for name, role in (("chief", Role.ADMINISTRATOR), ("walker", Role.PATROL)):
            await strict_hub.accounts.create(
                session,
                username=name,
                display_name=name,
                password=password_hash(),
                roles=[RoleBinding(role, "")],
            )
    app = create_app(strict_hub)
    async with Client(
        transport=httpx.ASGITransport(app=app), base_url="http://testserver"
    ) as client:
        walker = {"username": "walker", **PROOF}
        assert (await client.post("/api/v1/sessions", json=walker)).json()["must"] is None
        chief = {"username": "chief", **PROOF}
        signed = (await client.post("/api/v1/sessions", json=chief)).json()
        assert signed["must"] == "second-factor-needed"
        client.headers[CSRF_HEADER] = signed["csrf_token"]
        refused = await client.get("/api/v1/accounts")
        assert (refused.status_code, refused.json()["code"]) == (403, "second-factor-needed")
        assert (await client.get("/api/v1/sessions")).status_code == 200
        await enrol_totp(client, clock)
        assert (await client.get("/api/v1/accounts")).status_code == 200
        removed = await client.request("DELETE", f"{ME}/totp", json=PROOF)
        assert removed.status_code == 204
        assert (await client.get("/api/v1/accounts")).status_code == 403, "at the next request"


async def test_the_own_sessions_are_listed_and_ended(sign_in: SignIn, client: Client) -> None:
    holder, stranger = await sign_in(Role.PATROL, "demo"), await sign_in(Role.PATROL, "demo")
    await client.post("/api/v1/sessions", json={"username": holder.username, **PROOF})
    rows = (await holder.get("/api/v1/sessions")).json()
    assert [row["current"] for row in rows].count(True) == 1
    assert len(rows) == 2
    theirs = (await stranger.get("/api/v1/sessions")).json()[0]["id"]
    assert (await holder.delete(f"/api/v1/sessions/{theirs}")).status_code == 404
    other = next(row["id"] for row in rows if not row["current"])
    assert (await holder.delete(f"/api/v1/sessions/{other}")).status_code == 204
    assert (await client.get("/api/v1/sessions/current")).status_code == 401
    assert (await holder.delete(f"/api/v1/sessions/{other}")).status_code == 404
    await client.post("/api/v1/sessions", json={"username": holder.username, **PROOF})
    assert (await holder.delete("/api/v1/sessions")).status_code == 204
    assert (await client.get("/api/v1/sessions/current")).status_code == 401
    assert (await holder.get("/api/v1/sessions/current")).status_code == 200
    assert (await stranger.get("/api/v1/sessions/current")).status_code == 200


@BOTH_STORES
async def test_one_account_cannot_both_watch_and_decide(hub: Hub, sign_in: SignIn) -> None:
    admin, worker = await sign_in(Role.ADMINISTRATOR), await sign_in(Role.PATROL, "demo")
    path = f"/api/v1/accounts/{worker.account_id}"
    for pair in (
        ("administrator", "operator"),
        ("auditor", "duty_staff"),
        ("auditor", "supervisor"),
    ):
        roles = [{"role": role, "area": area} for role, area in zip(pair, ("a", "b"), strict=True)]
        answer = await admin.patch(path, json={"roles": roles})
        assert (answer.status_code, answer.json()["code"]) == (409, "conflicting-roles"), pair
        body = {"username": "new-one", "display_name": "x", "password": "long enough for us"}
        made = await admin.post("/api/v1/accounts", json=body | {"roles": roles})
        assert made.status_code == 409
    fine = [{"role": "administrator", "area": "a"}, {"role": "auditor", "area": "a"}]
    assert (await admin.patch(path, json={"roles": fine})).status_code == 200
    for _ in range(3):
        # Two changes at once: the later one replaces the earlier one, and never joins it.
        await asyncio.gather(
            admin.patch(path, json={"roles": [{"role": "operator", "area": "a"}]}),
            admin.patch(path, json={"roles": [{"role": "auditor", "area": "a"}]}),
        )
        async with hub.database.read() as session:
            account = await hub.accounts.get(session, worker.account_id)
            assert len(account.roles) == 1
