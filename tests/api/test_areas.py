"""Areas through the API: from the first one on, nothing new is filed outside of the tree."""

from typing import Any

import httpx
import pytest

from access.policy import Role
from api.hub import Hub
from tests.support.http import Client, SignIn

GARDEN = "demo/riverside/jade-garden"
BOTH_STORES = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)


async def grow(admin: Client) -> None:
    for path, name in (("demo", "Demo"), ("demo/riverside", "Riverside"), (GARDEN, "Jade Garden")):
        answer = await admin.post("/api/v1/areas", json={"path": path, "name": name})
        assert answer.status_code == 201, answer.text


def unknown(answer: httpx.Response) -> str:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"]) == (422, "unknown-area"), answer.text
    return str(body["nearest"])


@BOTH_STORES
async def test_a_tree_is_made_listed_changed_and_closed(sign_in: SignIn) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    await grow(admin)
    listed = (await admin.get("/api/v1/areas")).json()["items"]
    assert [(a["path"], a["level"], a["parent"], a["depth"]) for a in listed] == [
        ("demo", "county", "", 1),
        ("demo/riverside", "township", "demo", 2),
        (GARDEN, "community", "demo/riverside", 3),
    ]
    changed = await admin.patch(f"/api/v1/areas/{GARDEN}", json={"name": "The Garden"})
    assert changed.json()["name"] == "The Garden"
    used = await admin.delete("/api/v1/areas/demo")
    assert (used.status_code, used.json()["code"]) == (409, "area-in-use")
    below = ["demo/riverside", GARDEN]
    assert used.json()["uses"] == [{"kind": "area", "count": 2, "names": below}]
    assert (await admin.delete(f"/api/v1/areas/{GARDEN}")).status_code == 204
    assert (await admin.delete(f"/api/v1/areas/{GARDEN}")).status_code == 404


async def test_nothing_new_is_filed_under_an_area_that_is_not_there(
    sign_in: SignIn, hub: Hub
) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    wrong = "demo/riverside/jade-gardn"
    camera = {
        "name": "Gate 3",
        "source_kind": "rtsp",
        "address": "rtsp://192.0.2.1/",
        "place_kind": "public_space",
        "probe": False,
    }
    # Without a tree every path may be used.
    early = await admin.post("/api/v1/households", json={"name": "Old", "area": "old/place"})
    assert early.status_code == 201
    await grow(admin)
    account = {
        "username": "somebody",
        "display_name": "Somebody",
        "password": "long enough for us",
        "roles": [{"role": "patrol", "area": wrong}],
    }
    asked = [
        await admin.post("/api/v1/cameras", json={**camera, "area": wrong}),
        await admin.post("/api/v1/households", json={"name": "Flat", "area": wrong}),
        await admin.post(
            "/api/v1/tokens", json={"name": "x", "scopes": ["signal.post"], "area": wrong}
        ),
        await admin.post("/api/v1/accounts", json=account),
        await admin.post("/api/v1/departments", json={"name": "Water", "area": wrong}),
        await admin.post("/api/v1/rotas", json={"name": "N", "area": wrong, "post": "patrol"}),
    ]
    for answer in asked:
        assert unknown(answer) == GARDEN
    made = await admin.post("/api/v1/cameras", json={**camera, "area": GARDEN})
    assert made.status_code == 201, made.text
    moved = await admin.patch(
        f"/api/v1/cameras/{made.json()['id']}", json={"version": 1, "area": wrong}
    )
    assert unknown(moved) == GARDEN
    in_use = await admin.delete(f"/api/v1/areas/{GARDEN}")
    assert in_use.json()["uses"] == [{"kind": "camera", "count": 1, "names": ["Gate 3"]}]


async def test_a_role_that_is_held_already_stays_where_it_is(sign_in: SignIn, hub: Hub) -> None:
    """A tree that comes later stops nobody from changing an account that is older."""
    admin = await sign_in(Role.ADMINISTRATOR)
    patrol = await sign_in(Role.PATROL, "old/place")
    await grow(admin)
    url = f"/api/v1/accounts/{patrol.account_id}"
    roles = [{"role": "patrol", "area": "old/place"}, {"role": "patrol", "area": GARDEN}]
    assert (await admin.patch(url, json={"roles": roles})).status_code == 200
    roles.append({"role": "patrol", "area": "old/other"})
    assert unknown(await admin.patch(url, json={"roles": roles}))


async def test_who_administers_a_part_sees_and_changes_that_part(sign_in: SignIn) -> None:
    whole = await sign_in(Role.ADMINISTRATOR)
    await grow(whole)
    part = await sign_in(Role.ADMINISTRATOR, "demo/riverside")
    listed = (await part.get("/api/v1/areas")).json()["items"]
    assert [area["path"] for area in listed] == ["demo/riverside", GARDEN]
    below = await part.post("/api/v1/areas", json={"path": f"{GARDEN}/c-1", "name": "Cell 1"})
    assert (below.status_code, below.json()["level"]) == (201, "cell")
    beside = await part.post("/api/v1/areas", json={"path": "demo/hill", "name": "Hill"})
    assert beside.status_code == 403
    assert (await part.delete("/api/v1/areas/demo")).status_code == 404


async def test_a_department_is_made_filled_and_closed(sign_in: SignIn, hub: Hub) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    worker = await sign_in(Role.DEPARTMENT, "demo")
    other = await sign_in(Role.PATROL, "demo")
    made = await admin.post("/api/v1/departments", json={"name": " Water  works ", "area": "demo"})
    assert (made.status_code, made.json()["name"]) == (201, "Water works")
    url = f"/api/v1/departments/{made.json()['id']}"
    wrong = await admin.put(f"{url}/members", json={"account_ids": [str(other.account_id)]})
    assert wrong.json()["code"] == "not-of-this-post"
    filled = await admin.put(f"{url}/members", json={"account_ids": [str(worker.account_id)]})
    assert [m["username"] for m in filled.json()["members"]] == [worker.username]
    assert (await admin.patch(url, json={"name": "Water"})).json()["name"] == "Water"
    assert len((await worker.get("/api/v1/departments")).json()["items"]) == 1
    assert (await admin.delete(url)).status_code == 204
    assert (await admin.get("/api/v1/departments")).json()["items"] == []
