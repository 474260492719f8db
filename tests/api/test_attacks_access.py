"""Attacks on who may do what: guessed ids, rights widened by two, keys of the removed, headers."""

from datetime import timedelta
from uuid import UUID

import pytest

from access.consent.models import ConsentGrant
from access.households.models import HouseholdMember
from access.policy.types import Role
from api.hub import Hub
from camera_hub.devices.models import Camera
from core.ids import new_id
from tests.support.http import ServiceClient, SignIn

HERE, THERE = "demo/here", "demo/there"


async def add_camera(
    hub: Hub, area: str, place_kind: str, household_id: UUID | None = None
) -> Camera:
    camera = Camera(
        id=new_id(),
        name="Hall",
        area=area,
        place_kind=place_kind,
        household_id=household_id,
        source_kind="rtsp",
        address="rtsp://192.0.2.1/",
        enabled=False,
        created_at=hub.clock.now(),
    )
    async with hub.database.transaction() as session:
        session.add(camera)
    return camera


@pytest.mark.parametrize("role", ["duty_staff", "operator", "supervisor", "resident", "auditor"])
async def test_a_guessed_id_is_answered_like_one_that_never_was(
    hub: Hub, sign_in: SignIn, role: str
) -> None:
    client = await sign_in(Role(role), HERE)
    foreign = await add_camera(hub, THERE, "public_space")
    home = await add_camera(hub, THERE, "home", new_id())
    for path in ("", "/snapshot?purpose=case&reference=A-17", "/zones"):
        never = await client.get(f"/api/v1/cameras/{new_id()}{path}")
        for camera in (foreign, home):
            found = await client.get(f"/api/v1/cameras/{camera.id}{path}")
            assert found.status_code == never.status_code
            told, nothing = found.json(), never.json()
            for one in (told, nothing):
                one.pop("instance", None)
                one.pop("request_id", None)
            assert told == nothing
    assert str(home.id) not in (await client.get("/api/v1/cameras")).text


async def test_two_administrators_cannot_give_each_other_eyes(hub: Hub, sign_in: SignIn) -> None:
    one, other = await sign_in(Role.ADMINISTRATOR), await sign_in(Role.ADMINISTRATOR)
    camera = await add_camera(hub, HERE, "public_space")
    watching = [{"role": "administrator", "area": ""}, {"role": "operator", "area": ""}]
    for giver, taker in ((one, other), (other, one)):
        answer = await giver.patch(f"/api/v1/accounts/{taker.account_id}", json={"roles": watching})
        assert (answer.status_code, answer.json()["code"]) == (409, "conflicting-roles")
        own = await giver.patch(f"/api/v1/accounts/{giver.account_id}", json={"roles": watching})
        assert own.status_code == 403
        look = await taker.get(f"/api/v1/cameras/{camera.id}/snapshot?purpose=case&reference=A-17")
        assert look.status_code == 403


async def test_roles_that_were_written_into_the_database_still_open_no_picture_to_who_decides(
    hub: Hub, sign_in: SignIn
) -> None:
    """Somebody with sqlite3 gives an administrator a watching role: the policy refuses it."""
    from access.accounts.models import AccountRole

    client = await sign_in(Role.ADMINISTRATOR)
    camera = await add_camera(hub, HERE, "public_space")
    async with hub.database.transaction() as session:
        session.add(
            AccountRole(id=new_id(), account_id=client.account_id, role="supervisor", area="")
        )
    look = await client.get(f"/api/v1/cameras/{camera.id}/snapshot?purpose=case&reference=A-17")
    assert look.status_code == 403
    assert (await client.get(f"/api/v1/cameras/{camera.id}")).json()["actions"] == []


async def test_an_administrator_moves_into_no_home_that_has_a_camera(
    hub: Hub, sign_in: SignIn
) -> None:
    """Neither they themselves nor an accomplice: who lives there lets others in."""
    admin, friend = await sign_in(Role.ADMINISTRATOR), await sign_in(Role.DUTY_STAFF)
    resident = await sign_in(Role.RESIDENT)
    async with hub.database.transaction() as session:
        household = await hub.households.create(session, None, name="Flat 1204", area=HERE)
        session.add(
            HouseholdMember(
                household_id=household.id, account_id=resident.account_id, since=hub.clock.now()
            )
        )
    camera = await add_camera(hub, HERE, "home", household.id)
    for username in (admin.username, friend.username):
        answer = await admin.post(
            f"/api/v1/households/{household.id}/members", json={"username": username}
        )
        assert (answer.status_code, answer.json()["code"]) == (409, "household-has-members")
    ends = (hub.clock.now() + timedelta(days=1)).isoformat()
    share = {
        "camera_id": str(camera.id),
        "kind": "share",
        "username": friend.username,
        "ends_at": ends,
    }
    for thief in (admin, friend):
        assert (await thief.post("/api/v1/grants", json=share)).status_code in {403, 404}
    assert (await friend.get(f"/api/v1/cameras/{camera.id}")).status_code == 404


async def test_a_grant_of_another_camera_or_account_opens_nothing(
    hub: Hub, sign_in: SignIn
) -> None:
    duty, other = await sign_in(Role.DUTY_STAFF), await sign_in(Role.DUTY_STAFF)
    resident = await sign_in(Role.RESIDENT)
    async with hub.database.transaction() as session:
        household = await hub.households.create(session, None, name="Flat 1204", area=HERE)
    shared = await add_camera(hub, HERE, "home", household.id)
    closed = await add_camera(hub, HERE, "home", household.id)
    async with hub.database.transaction() as session:
        session.add(
            ConsentGrant(
                id=new_id(),
                camera_id=shared.id,
                household_id=household.id,
                kind="share",
                account_id=duty.account_id,
                ends_at=hub.clock.now() + timedelta(days=1),
                given_by=resident.account_id,
                given_at=hub.clock.now(),
            )
        )
    assert (await duty.get(f"/api/v1/cameras/{shared.id}")).json()["grant"]["kind"] == "share"
    assert (await duty.get(f"/api/v1/cameras/{shared.id}")).json()["address"] == ""
    listed = [c["id"] for c in (await duty.get("/api/v1/cameras")).json()["items"]]
    assert listed == [str(shared.id)]
    assert (await duty.get(f"/api/v1/cameras/{closed.id}")).status_code == 404
    assert (await other.get(f"/api/v1/cameras/{shared.id}")).status_code == 404
    assert (await other.get("/api/v1/cameras")).json()["items"] == []


async def test_keys_of_a_removed_account_and_of_a_revoked_token_open_nothing(
    hub: Hub, sign_in: SignIn, service_client: ServiceClient
) -> None:
    admin, leaver = await sign_in(Role.ADMINISTRATOR), await sign_in(Role.SUPERVISOR)
    service = await service_client(["camera.list"])
    assert (await leaver.get("/api/v1/cameras")).status_code == 200
    assert (await service.get("/api/v1/cameras")).status_code == 200
    gone = await admin.patch(f"/api/v1/accounts/{leaver.account_id}", json={"active": False})
    assert gone.status_code == 200
    assert (await admin.delete(f"/api/v1/tokens/{service.account_id}")).status_code == 204
    assert (await leaver.get("/api/v1/cameras")).status_code == 401
    assert (await service.get("/api/v1/cameras")).status_code == 401
    again = await admin.patch(f"/api/v1/accounts/{leaver.account_id}", json={"active": True})
    assert again.status_code == 200
    # Switched on again, the old session stays ended.
    assert (await leaver.get("/api/v1/cameras")).status_code == 401


@pytest.mark.parametrize(
    "forged",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"X-Real-IP": "127.0.0.1", "Via": "1.1 proxy"},
        {"X-Forwarded-User": "admin", "X-Remote-User": "admin", "Remote-User": "admin"},
        {"X-Original-URL": "/api/v1/health/live", "X-Rewrite-URL": "/api/v1/health/live"},
        {"X-HTTP-Method-Override": "GET"},
    ],
)
async def test_headers_forged_past_a_proxy_make_nobody_somebody(
    hub: Hub, sign_in: SignIn, forged: dict[str, str]
) -> None:
    operator = await sign_in(Role.OPERATOR)
    nobody = await sign_in(Role.OPERATOR)
    nobody.cookies.clear()
    # Metrics are open to this machine itself, so only what claims to come from it is refused there.
    claims = {"X-Forwarded-For", "Forwarded", "X-Real-IP"} & forged.keys()
    for path in ("/api/v1/cameras", "/api/v1/accounts", *(["/api/v1/metrics"] if claims else [])):
        assert (await nobody.get(path, headers=forged)).status_code == 401, path
    assert (await operator.get("/api/v1/accounts", headers=forged)).status_code == 403
    made = await operator.post("/api/v1/accounts", json={}, headers=forged)
    assert made.status_code == 403


async def test_an_explanation_tells_of_nothing_outside_of_the_own_areas(
    hub: Hub, sign_in: SignIn
) -> None:
    auditor = await sign_in(Role.AUDITOR, HERE)
    here = await add_camera(hub, HERE, "shared_space")
    there = await add_camera(hub, THERE, "shared_space")

    async def ask(resource: str) -> tuple[int, str]:
        body = {"username": auditor.username, "action": "camera.live", "resource": resource}
        answer = await auditor.post("/api/v1/access/explanations", json=body)
        return answer.status_code, answer.text

    status, text = await ask(f"camera:{here.id}")
    assert status == 200
    assert "no-video-for-administrators-and-auditors" in text
    assert (await ask(f"camera:{there.id}"))[0] == (await ask(f"camera:{new_id()}"))[0] == 404
    assert (await ask(f"area:{THERE}"))[0] == 404
