"""Rotas, who is on duty and hand-overs through the API, by those who may."""

from datetime import UTC, datetime, timedelta

import pytest

from access.policy import Role
from core.clock import ManualClock
from tests.support.http import Client, SignIn

GARDEN = "demo/riverside/jade-garden"
BOTH_STORES = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)


async def make_rota(lead: Client, *people: Client) -> str:
    made = await lead.post(
        "/api/v1/rotas", json={"name": "Centre", "area": GARDEN, "post": "duty_staff"}
    )
    assert made.status_code == 201, made.text
    slots = [
        {"weekday": day, "starts": "00:00", "ends": "00:00", "account_id": str(who.account_id)}
        for day in range(7)
        for who in people
    ]
    written = await lead.put(f"/api/v1/rotas/{made.json()['id']}/slots", json={"slots": slots})
    assert written.status_code == 200, written.text
    return str(made.json()["id"])


async def on_duty(client: Client, area: str = GARDEN) -> tuple[str, set[str]]:
    answer = await client.get("/api/v1/duty", params={"area": area})
    assert answer.status_code == 200, answer.text
    item = next(i for i in answer.json()["items"] if i["post"] == "duty_staff")
    return item["by"], {person["display_name"] for person in item["accounts"]}


@BOTH_STORES
async def test_a_rota_says_who_is_on_duty_and_where_it_has_gaps(sign_in: SignIn) -> None:
    lead = await sign_in(Role.SUPERVISOR, "demo/riverside")
    one = await sign_in(Role.DUTY_STAFF, GARDEN, username="one")
    await sign_in(Role.DUTY_STAFF, GARDEN, username="two")
    assert await on_duty(one) == ("role", {"One", "Two"})
    rota = await make_rota(lead, one)
    assert await on_duty(one) == ("rota", {"One"})
    day = {"weekday": 0, "starts": "08:00", "ends": "18:00", "account_id": str(one.account_id)}
    shown = (await lead.put(f"/api/v1/rotas/{rota}/slots", json={"slots": [day, day]})).json()
    assert len(shown["gaps"]) >= 1
    assert [(o["weekday"], o["starts"], o["ends"]) for o in shown["overlaps"]] == [
        (0, "08:00", "18:00")
    ]
    listed = (await one.get("/api/v1/rotas", params={"area": "demo/riverside/jade-garden"})).json()
    assert [item["id"] for item in listed["items"]] == [rota]
    assert (await lead.delete(f"/api/v1/rotas/{rota}")).status_code == 204
    assert await on_duty(one) == ("role", {"One", "Two"})


async def test_an_override_and_its_end(sign_in: SignIn, clock: ManualClock) -> None:
    lead = await sign_in(Role.SUPERVISOR, "demo")
    one = await sign_in(Role.DUTY_STAFF, GARDEN, username="one")
    two = await sign_in(Role.DUTY_STAFF, GARDEN, username="two")
    rota = await make_rota(lead, one)
    span = {
        "from_at": clock.now().isoformat(),
        "until_at": (clock.now() + timedelta(hours=2)).isoformat(),
        "account_id": str(two.account_id),
        "replaces_id": str(one.account_id),
        "reason": "a cold",
    }
    made = await lead.post(f"/api/v1/rotas/{rota}/overrides", json=span)
    assert made.status_code == 201, made.text
    assert await on_duty(one) == ("rota", {"Two"})
    (override,) = made.json()["overrides"]
    assert (override["reason"], override["replaces"]["display_name"]) == ("a cold", "One")
    ended = await lead.delete(f"/api/v1/rotas/{rota}/overrides/{override['id']}")
    assert ended.json()["overrides"] == []
    assert await on_duty(one) == ("rota", {"One"})
    backwards = {**span, "until_at": span["from_at"]}
    refused = await lead.post(f"/api/v1/rotas/{rota}/overrides", json=backwards)
    assert refused.json()["code"] == "invalid-span"
    naive = {**span, "until_at": "2026-01-02T00:00:00"}
    assert (await lead.post(f"/api/v1/rotas/{rota}/overrides", json=naive)).status_code == 422


@BOTH_STORES
async def test_a_hand_over_is_confirmed_by_both(sign_in: SignIn) -> None:
    lead = await sign_in(Role.SUPERVISOR, "demo")
    one = await sign_in(Role.DUTY_STAFF, GARDEN, username="one")
    two = await sign_in(Role.DUTY_STAFF, GARDEN, username="two")
    rota = await make_rota(lead, one)
    offered = await one.post(
        f"/api/v1/rotas/{rota}/hand-overs", json={"to_id": str(two.account_id), "note": "quiet"}
    )
    assert offered.status_code == 201, offered.text
    body = offered.json()
    assert (body["state"], body["giver"]["display_name"], body["taker"]["display_name"]) == (
        "open",
        "One",
        "Two",
    )
    url = f"/api/v1/hand-overs/{body['id']}"
    assert await on_duty(one) == ("rota", {"One", "Two"})
    for client, step in ((lead, "give"), (two, "give"), (one, "take")):
        refused = await client.post(f"{url}/{step}")
        assert (refused.status_code, refused.json()["code"]) == (403, "not-your-hand-over")
    assert (await one.post(f"{url}/give")).json()["state"] == "open"
    assert (await two.post(f"{url}/take")).json()["state"] == "done"
    assert await on_duty(one) == ("rota", {"Two"})
    late = await two.post(f"{url}/refuse", json={"reason": "no"})
    assert late.json()["code"] == "hand-over-done"


async def test_who_may_not_know_of_an_area_does_not_learn_who_is_on_duty_there(
    sign_in: SignIn,
) -> None:
    one = await sign_in(Role.DUTY_STAFF, GARDEN)
    lead = await sign_in(Role.SUPERVISOR, "demo/hill")
    assert (await one.get("/api/v1/duty")).json()["area"] == GARDEN
    assert (await one.get("/api/v1/duty", params={"area": "demo/hill"})).status_code == 403
    assert (await lead.get("/api/v1/rotas", params={"area": GARDEN})).status_code == 403
    rota = {"name": "N", "area": GARDEN, "post": "patrol"}
    assert (await lead.post("/api/v1/rotas", json=rota)).status_code == 403


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2026-01-01", "x"])
async def test_a_time_that_makes_no_sense_is_a_clear_error(sign_in: SignIn, at: str) -> None:
    one = await sign_in(Role.DUTY_STAFF, GARDEN)
    answer = await one.get("/api/v1/duty", params={"area": GARDEN, "at": at})
    assert answer.status_code == 422
    assert answer.json()["detail"]


async def test_the_future_is_answered_too(sign_in: SignIn, clock: ManualClock) -> None:
    one = await sign_in(Role.DUTY_STAFF, GARDEN, username="one")
    at = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    answer = await one.get("/api/v1/duty", params={"area": GARDEN, "at": at.isoformat()})
    assert answer.json()["items"][0]["accounts"][0]["display_name"] == "One"
