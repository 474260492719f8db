"""What is said of a camera's place, and the law that it keeps to, over HTTP and on both stores."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import select

from access.ledger.models import LedgerEntry
from access.policy.types import Role
from api.hub import Hub
from camera_hub.devices.facts import broken_rules
from camera_hub.devices.models import Camera
from core.settings import Settings
from tests.support.http import Client, SignIn

BOTH_STORES = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)
URL = "/api/v1/cameras"
AREA = "demo/jade/b1"
FLAT = "demo/jade/b1/0301"
LAWFUL = {
    "place_kind": "public_space", "place_type": "street", "purpose": "Safety at the gate",
    "owner": "Jade Garden", "contact": "office@example.org", "signage": True,
}  # fmt: skip
Family = Callable[..., Awaitable[tuple[str, Client]]]


def entry(**more: Any) -> dict[str, Any]:
    return {
        "name": "Gate", "area": AREA, "source_kind": "rtsp", "probe": False,
        "address": "rtsp://viewer:s3cret@127.0.0.1:9/cam", **more,
    }  # fmt: skip


@pytest.fixture
def jurisdiction(request: pytest.FixtureRequest) -> str:
    """The law in force: none unless the test names another one indirectly."""
    return str(getattr(request, "param", "none"))


@pytest.fixture
def settings(settings: Settings, jurisdiction: str) -> Settings:
    """Settings with that law."""
    site = settings.site.model_copy(update={"jurisdiction": jurisdiction})
    return settings.model_copy(update={"site": site})


@pytest.fixture
async def family(hub: Hub, sign_in: SignIn) -> Family:
    """Make a household with one member; return its id and the member's client."""

    async def make(area: str = FLAT) -> tuple[str, Client]:
        member = await sign_in("resident", area)
        admin = await sign_in("administrator")
        made = await admin.post("/api/v1/households", json={"name": area[-4:], "area": area})
        assert made.status_code == 201, made.text
        household = made.json()["id"]
        added = await admin.post(
            f"/api/v1/households/{household}/members", json={"username": member.username}
        )
        assert added.is_success, added.text
        return household, member

    return make


async def refused(client: Client, body: dict[str, Any], code: str, status: int = 422) -> Any:
    answer = await client.post(URL, json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    return answer.json()


async def entries(hub: Hub, subject: str) -> list[tuple[str, dict[str, Any]]]:
    async with hub.database.read() as session:
        rows = await session.scalars(
            select(LedgerEntry).where(LedgerEntry.subject == subject).order_by(LedgerEntry.seq)
        )
        return [(row.kind, json.loads(row.body)) for row in rows]


@BOTH_STORES
@pytest.mark.parametrize("jurisdiction", ["cn"], indirect=True)
async def test_a_camera_that_breaks_the_law_is_refused_with_the_rule(
    hub: Hub, sign_in: SignIn
) -> None:
    admin = await sign_in("administrator")
    problem = await refused(admin, entry(place_type="street"), "law-refused")
    assert {e["field"] for e in problem["errors"]} == {
        "place_kind", "signage", "purpose", "owner", "contact"
    }  # fmt: skip
    assert any("CN-VID-3" in e["message"] for e in problem["errors"])
    problem = await refused(admin, entry(**LAWFUL, retention_hours=48), "law-refused")
    assert [e["field"] for e in problem["errors"]] == ["retention_hours"]
    assert problem["errors"][0]["rule"] == "CN-VID-4"
    assert hub.law.rules["CN-VID-4"].quote.en in problem["detail"]
    assert hub.law.rules["CN-VID-4"].quote.zh in problem["errors"][0]["texts"]["zh-CN"]
    await refused(admin, entry(**{**LAWFUL, "place_type": "toilet"}), "law-refused")
    async with hub.database.read() as session:
        assert list(await session.scalars(select(Camera))) == []
    made = await admin.post(URL, json=entry(**LAWFUL))
    assert made.status_code == 201, made.text
    camera = made.json()
    assert (camera["retention_hours"], camera["retention_in_force_hours"]) == (None, 720)
    path = f"{URL}/{camera['id']}"
    answer = await admin.patch(path, json={"version": 1, "signage": False})
    assert answer.json()["code"] == "law-refused"
    assert (await admin.get(path)).json()["signage"] is True
    for hours, reason in ((2160, "Key site"), (None, None)):
        body = {"version": (await admin.get(path)).json()["version"], "retention_hours": hours}
        answer = await admin.patch(
            path, json=body | ({"retention_reason": reason} if reason else {})
        )
        assert answer.json()["retention_hours"] == hours, answer.text


async def test_cameras_from_before_the_law_stay_and_can_be_put_right(
    hub: Hub, sign_in: SignIn
) -> None:
    admin = await sign_in("administrator")
    camera = (await admin.post(URL, json=entry(place_kind="public_space"))).json()
    law = type(hub.law).load(None, "eu")
    hub.law = hub.devices.law = hub.places.law = law
    path = f"{URL}/{camera['id']}"
    async with hub.database.read() as session:
        found = await broken_rules(session, law, hub.settings.site)
        assert [(str(row.id), b.rule) for row, b in found] == [(camera["id"], "EU-GDPR-6")]
    # What is not about the law goes on, switching off included; switching on asks again.
    for body in ({"name": "North gate"}, {"analyse": False}, {"enabled": False}):
        version = (await admin.get(path)).json()["version"]
        assert (await admin.patch(path, json={"version": version, **body})).is_success
    answer = await admin.patch(path, json={"version": 4, "enabled": True})
    assert answer.json()["code"] == "law-refused"
    assert (await admin.patch(path, json={"version": 4, "enabled": True, **LAWFUL})).is_success


async def test_a_name_that_hints_at_a_forbidden_place_warns_and_is_kept(sign_in: SignIn) -> None:
    admin = await sign_in("administrator")
    made = await admin.post(URL, json=entry(name="3号楼更衣室"))
    assert made.status_code == 201
    (warning,) = made.json()["warnings"]
    assert warning["code"] == "forbidden-place-name"
    assert warning["texts"]["en"] == warning["message"]
    assert "名称中有" in warning["texts"]["zh-CN"]
    assert (await admin.get(f"{URL}/{made.json()['id']}")).json()["warnings"] == []


@BOTH_STORES
async def test_a_home_camera_is_one_of_its_household_and_stays_one(
    hub: Hub, sign_in: SignIn, family: Family
) -> None:
    admin = await sign_in("administrator")
    household, _ = await family()
    other, _ = await family("demo/jade/b1/0302")
    home = {"place_kind": "home", "area": FLAT}
    await refused(admin, entry(**home), "household-needed")
    await refused(admin, entry(household_id=household), "household-not-home")
    await refused(
        admin, entry(**{**home, "area": AREA}, household_id=household), "household-elsewhere"
    )
    await refused(admin, entry(residents_may_watch=True, **home, household_id=household),
                  "residents-shared-only")  # fmt: skip
    made = await admin.post(URL, json=entry(**home, household_id=household))
    assert made.status_code == 201, made.text
    path = f"{URL}/{made.json()['id']}"
    for change in (
        {"place_kind": "shared_space"}, {"place_kind": "public_space"}, {"household_id": other},
    ):  # fmt: skip
        answer = await admin.patch(path, json={"version": 1, **change})
        assert (answer.status_code, answer.json()["code"]) == (409, "home-stays-home")
    answer = await admin.patch(path, json={"version": 1, "area": AREA})
    assert answer.json()["code"] == "household-elsewhere"
    assert (await admin.get(path)).json()["version"] == 1
    assert [kind for kind, _ in await entries(hub, made.json()["id"])] == ["camera.created"]


async def taken(admin: Client, body: dict[str, Any]) -> bool:
    """Say whether this camera is refused as the device of a home; else it is added, and deleted."""
    answer = await admin.post(URL, json=body)
    if answer.is_success:
        assert (await admin.delete(f"{URL}/{answer.json()['id']}")).is_success
        return False
    assert (answer.status_code, answer.json()["code"]) == (409, "address-is-a-home"), answer.text
    return True


@BOTH_STORES
async def test_the_device_of_a_home_becomes_no_camera_of_another_place(
    hub: Hub, sign_in: SignIn, family: Family
) -> None:
    admin = await sign_in("administrator")
    household, member = await family()
    other, _ = await family("demo/jade/b1/0302")
    home = {"place_kind": "home", "area": FLAT, "household_id": household}
    gate = entry(address="rtsp://127.0.0.1:10/gate")
    public = (await admin.post(URL, json=gate)).json()
    made = await admin.post(URL, json=entry(**home))
    assert made.status_code == 201, made.text
    path = f"{URL}/{made.json()['id']}"
    disguises = (
        "rtsp://127.0.0.1:9/cam", "rtsp://127.0.0.1:9/other?x=1", "rtsps://127.0.0.1:9/cam",
        "rtsp://[::ffff:127.0.0.1]:9/cam", "rtsp://localhost:9/cam", "rtsp://LOCALHOST.:9/cam",
    )  # fmt: skip
    for address in disguises:
        assert await taken(admin, entry(address=address)), address
    change = {"version": 1, "address": "rtsp://127.0.0.1:9/x", "password": "p", "probe": False}
    moved = await admin.patch(f"{URL}/{public['id']}", json=change)
    assert (moved.status_code, moved.json()["code"]) == (409, "address-is-a-home")
    at_other = {"place_kind": "home", "area": "demo/jade/b1/0302", "household_id": other}
    assert await taken(admin, entry(**at_other)), "another household's"
    # The other way round: what is a camera of another place becomes nobody's home as well.
    assert await taken(admin, {**gate, **home})
    assert not await taken(admin, entry(address="rtsp://127.0.0.1:11/cam"))
    # Changed, or deleted by an administrator, it stays the home's ...
    away = {"version": 1, "address": "rtsp://127.0.0.1:12/x", "password": "p", "probe": False}
    assert (await admin.patch(path, json=away)).is_success
    assert await taken(admin, entry())
    assert (await admin.delete(path)).status_code == 204
    assert await taken(admin, entry())
    assert await taken(admin, entry(address="rtsp://127.0.0.1:12/x"))
    # ... of the same household it may be added again, and is free when that gives it up.
    again = (await admin.post(URL, json=entry(**home))).json()["id"]
    assert (await member.delete(f"{URL}/{public['id']}")).status_code in {403, 404}
    assert (await member.delete(f"{URL}/{again}")).status_code == 204
    assert await taken(admin, entry()), "where the first one was before"
    assert (await admin.post(f"/api/v1/households/{household}/close")).is_success
    assert not await taken(admin, entry())


async def test_what_a_household_deletes_itself_is_free(sign_in: SignIn, family: Family) -> None:
    admin = await sign_in("administrator")
    household, member = await family()
    home = {"place_kind": "home", "area": FLAT, "household_id": household}
    path = f"{URL}/{(await admin.post(URL, json=entry(**home))).json()['id']}"
    away = {"version": 1, "address": "rtsp://127.0.0.1:12/x", "password": "p", "probe": False}
    assert (await admin.patch(path, json=away)).is_success
    assert (await member.delete(path)).status_code == 204
    assert not await taken(admin, entry())
    assert not await taken(admin, entry(address="rtsp://127.0.0.1:12/x"))


async def test_members_switch_their_own_home_camera_and_nothing_else(
    hub: Hub, sign_in: SignIn, family: Family
) -> None:
    admin = await sign_in("administrator")
    household, member = await family()
    _, neighbour = await family("demo/jade/b1/0302")
    body = entry(place_kind="home", area=FLAT, household_id=household)
    camera = (await admin.post(URL, json=body)).json()["id"]
    path = f"{URL}/{camera}"
    off = await member.patch(path, json={"version": 1, "enabled": False})
    assert off.json()["status"]["state"] == "disabled", off.text
    for body in (
        {"name": "Mine"},
        {"address": "rtsp://10.0.0.9/x"},
        {"enabled": True, "analyse": False},
    ):
        answer = await member.patch(path, json={"version": 2, **body})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), body
    assert (await neighbour.patch(path, json={"version": 2, "enabled": True})).status_code == 404
    # Who configures may switch it off, and not on again against the household.
    forced = await admin.patch(path, json={"version": 2, "enabled": True, "name": "Hall"})
    assert (forced.status_code, forced.json()["code"]) == (403, "forbidden")
    assert (await member.patch(path, json={"version": 2, "enabled": True})).is_success
    gate = entry(address="rtsp://127.0.0.1:10/cam")
    shared = (await admin.post(URL, json=gate)).json()["id"]
    for client in (member, await sign_in("duty_staff", AREA), await sign_in("supervisor", AREA)):
        answer = await client.patch(f"{URL}/{shared}", json={"version": 1, "enabled": False})
        assert answer.status_code in {403, 404}
    kinds = await entries(hub, camera)
    assert [kind for kind, _ in kinds] == ["camera.created", "camera.changed", "camera.changed"]
    assert kinds[1][1] == {"enabled": "True -> False"}


async def test_what_changes_at_a_camera_is_in_the_ledger_without_its_address(
    hub: Hub, sign_in: SignIn
) -> None:
    admin = await sign_in("administrator")
    made = (await admin.post(URL, json=entry(residents_may_watch=True))).json()
    path = f"{URL}/{made['id']}"
    moved = await admin.patch(path, json={"version": 1, "place_kind": "public_space"})
    assert moved.json()["residents_may_watch"] is False
    await admin.patch(path, json={"version": 2, "password": "an0ther", "probe": False})
    assert (await admin.delete(path)).status_code == 204
    found = await entries(hub, made["id"])
    assert [kind for kind, _ in found] == ["camera.created", "camera.changed", "camera.deleted"]
    assert found[1][1] == {
        "place_kind": "shared_space -> public_space",
        "residents_may_watch": "True -> False",
    }
    assert "s3cret" not in str(found)
    assert "127.0.0.1" not in str(found)


@pytest.mark.parametrize("jurisdiction", ["uk"], indirect=True)
async def test_everybody_who_is_signed_in_reads_the_law(client: Client, sign_in: SignIn) -> None:
    assert (await client.get("/api/v1/law")).status_code == 401
    for role in Role:
        if role is Role.SERVICE:
            continue
        law = (await (await sign_in(role)).get("/api/v1/law")).json()
        assert law["name"] == "uk"
    assert sum(rule["number"].startswith("UK-SCC-") for rule in law["rules"]) == 12
    street = next(place for place in law["places"] if place["key"] == "street")
    assert (street["forbidden"], street["default_h"]) == (False, 168)
