"""What residents learn, over HTTP and on both stores: viewings, seals, months and digests."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from access.ledger.models import LedgerEntry
from access.policy.types import Actor, Role, RoleBinding
from access.views.schemas import ViewKind
from api.digests import keep_digests
from api.door import COOKIE, CSRF_HEADER
from api.hub import Hub
from api.months import Month
from camera_hub.devices.models import Camera
from core.clock import ManualClock
from core.ids import new_id
from core.settings import Settings
from governance.incidents.models import Incident
from governance.incidents.opening import NewIncident
from tests.support.http import Client, SignIn

BOTH_STORES = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)
BUILDING = "demo/jade/b1"
FLAT = "demo/jade/b1/0301"
VIEWINGS = "/api/v1/home/viewings"
DIGEST = "/api/v1/home/digest"
SEALS = "/api/v1/seals"


@pytest.fixture
def clock() -> ManualClock:
    """Noon of 20 November 2026 in Berlin."""
    return ManualClock(datetime(2026, 11, 20, 11, 0, tzinfo=UTC))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings of a site with summer and winter time."""
    site = settings.site.model_copy(update={"time_zone": "Europe/Berlin"})
    return settings.model_copy(update={"site": site})


@dataclass
class Site:
    """A household, its camera, shared and public cameras around it, and somebody on duty."""

    hub: Hub
    clock: ManualClock
    household: UUID
    member: Client
    duty: Actor
    cameras: dict[str, UUID]

    async def look(
        self,
        camera: str,
        kind: ViewKind = "snapshot",
        seconds: float = 0.0,
        actor: Actor | None = None,
        incident: Incident | None = None,
        purpose: str = "maintenance",
    ) -> UUID:
        """Look at a camera for so many seconds; return the record's id."""
        async with self.hub.database.transaction() as session:
            row = await session.get_one(Camera, self.cameras[camera])
            view = await self.hub.views.open_view(
                session, actor=actor or self.duty, camera_id=row.id, area=row.area, kind=kind,
                purpose="incident" if incident else purpose,
                reference=incident.number if incident else "T-1",
                incident_id=incident.id if incident else None,
                household_id=row.household_id, place_kind=row.place_kind,
            )  # fmt: skip
        if kind == "live":
            self.clock.advance(seconds)
            async with self.hub.database.transaction() as session:
                await self.hub.views.close_view(session, view)
        return view

    async def incident(self) -> Incident:
        """Open an incident in the building."""
        now = self.clock.now()
        async with self.hub.database.transaction() as session:
            return await self.hub.governance.incidents.open(
                session,
                NewIncident(
                    kind="intrusion", type="org.camerahub.detection.intrusion",
                    category="security", urgency="immediate", severity="severe",
                    certainty="likely", status="actual", dedup_key=str(new_id()),
                    headline="Somebody", area=BUILDING, observed_at=now,
                    camera_id=None, camera_name="", zone_name="",
                ),
            )  # fmt: skip

    async def later(self, *clients: Client, **delta: float) -> None:
        """Let time pass; the member and `clients` sign in again, as sessions do not last."""
        self.clock.advance(timedelta(**delta).total_seconds())
        for client in (self.member, *clients):
            async with self.hub.database.transaction() as session:
                opened = await self.hub.sessions.open(
                    session, client.account_id, address="127.0.0.1", user_agent="tests"
                )
            client.cookies.set(COOKIE, opened.token)
            client.headers[CSRF_HEADER] = opened.csrf_token

    async def listed(self, query: str = "") -> list[dict[str, Any]]:
        """Return everything that the member is told, page by page."""
        items: list[dict[str, Any]] = []
        cursor = ""
        while True:
            answer = await self.member.get(f"{VIEWINGS}?limit=2{query}{cursor}")
            assert answer.status_code == 200, answer.text
            items += answer.json()["items"]
            if answer.json()["next_cursor"] is None:
                return items
            cursor = f"&cursor={answer.json()['next_cursor']}"


@pytest.fixture
async def site(hub: Hub, clock: ManualClock, sign_in: SignIn) -> Site:
    member = await sign_in("resident", FLAT)
    keeper = await sign_in("duty_staff", BUILDING, username="keeper")
    async with hub.database.transaction() as session:
        home = await hub.households.create(session, None, name="Li, 0301", area=FLAT)
        await hub.households.add_member(session, None, home, username=member.username, cameras=0)
    places = {
        "home": (FLAT, "home", home.id), "lift": (BUILDING, "shared_space", None),
        "gate": ("demo/jade", "shared_space", None), "hall": (f"{FLAT}/hall", "shared_space", None),
        "other lift": ("demo/jade/b2", "shared_space", None),
        "near name": ("demo/jade/b1/03010", "shared_space", None),
        "street": (BUILDING, "public_space", None), "their home": (BUILDING, "home", None),
    }  # fmt: skip
    cameras = {}
    async with hub.database.transaction() as session:
        for name, (area, kind, household) in places.items():
            cameras[name] = new_id()
            session.add(
                Camera(
                    id=cameras[name], name=name, area=area, place_kind=kind,
                    household_id=household, source_kind="rtsp", address="rtsp://127.0.0.1/x",
                    created_at=clock.now(),
                )
            )  # fmt: skip
    duty = Actor(
        "account", keeper.account_id, "keeper", "Keeper",
        (RoleBinding(Role.DUTY_STAFF, BUILDING),), session_id=keeper.session_id,
    )  # fmt: skip
    return Site(hub, clock, home.id, member, duty, cameras)


async def ledger_kinds(hub: Hub, prefix: str) -> list[str]:
    async with hub.database.read() as session:
        query = select(LedgerEntry.kind).where(LedgerEntry.kind.startswith(prefix))
        return list(await session.scalars(query.order_by(LedgerEntry.seq)))


@BOTH_STORES
async def test_residents_read_who_looked_at_their_home_and_at_what_they_share(
    site: Site, client: Client, sign_in: SignIn
) -> None:
    member = Actor(
        "account", site.member.account_id, bindings=(RoleBinding(Role.RESIDENT, FLAT),),
        households=frozenset({site.household}),
    )  # fmt: skip
    wanted = [await site.look(name) for name in ("home", "lift", "gate", "hall")]
    wanted.append(await site.look("home", "live", 90, member))
    for name in ("other lift", "near name", "street", "their home"):
        await site.look(name)
    found = await site.listed()
    assert [UUID(item["id"]) for item in found] == wanted[::-1]
    own, *others = found
    assert (own["own"], own["who"]["role"], own["kind"]) == (True, "household", "live")
    assert {item["own"] for item in others} == {False}
    assert others[0]["who"] == {"display_name": "Keeper", "role": "duty_staff"}
    # What staff wrote is told of the own home; of what is shared it may name a neighbour.
    assert [(i["place_kind"], i["purpose"], i["reference"]) for i in others] == [
        ("shared_space", "maintenance", "")] * 3 + [("home", "maintenance", "T-1")]  # fmt: skip
    one = await site.listed(f"&camera_id={site.cameras['home']}")
    assert [UUID(item["id"]) for item in one] == [wanted[4], wanted[0]]
    assert await site.listed(f"&camera_id={site.cameras['street']}") == []
    assert (await client.get(VIEWINGS)).status_code == 401
    for role in ("duty_staff", "auditor", "administrator"):
        assert (await (await sign_in(role)).get(VIEWINGS)).status_code == 403
    stranger = await sign_in("resident", "demo/jade/b2")
    names = [item["camera_name"] for item in (await stranger.get(VIEWINGS)).json()["items"]]
    assert names == ["other lift", "gate"]


@BOTH_STORES
async def test_a_neighbour_at_a_shared_camera_is_a_resident_without_a_name(
    site: Site, sign_in: SignIn
) -> None:
    neighbour = await sign_in("resident", "demo/jade/b1/0302")
    partner = await sign_in("resident", FLAT)
    async with site.hub.database.transaction() as session:
        row = await site.hub.households.locked(session, site.household)
        living = Actor("account", site.member.account_id, households=frozenset({row.id}))
        await site.hub.households.add_member(
            session, living, row, username=partner.username, cameras=1
        )
    names = {}
    for client, area in ((neighbour, BUILDING), (partner, BUILDING), (site.member, BUILDING)):
        actor = Actor("account", client.account_id, bindings=(RoleBinding(Role.RESIDENT, area),))
        view = await site.look("lift", actor=actor)
        names[str(view)] = client
    staff = await site.look("lift")
    found = {i["id"]: i["who"] for i in await site.listed(f"&camera_id={site.cameras['lift']}")}
    assert found[str(staff)] == {"display_name": "Keeper", "role": "duty_staff"}
    for view, client in names.items():
        assert found[view]["role"] == "resident"
        assert bool(found[view]["display_name"]) == (client is not neighbour), client.username
    assert neighbour.username not in str(found)


@BOTH_STORES
async def test_a_sealed_viewing_is_told_later_and_every_viewing_exactly_once(
    site: Site, sign_in: SignIn
) -> None:
    sealed, plain = await site.incident(), await site.incident()
    views = []
    for step in range(12):
        incident = {0: sealed, 1: plain}.get(step % 3)
        views.append(await site.look("home" if step % 2 else "lift", incident=incident))
    # The reference alone names the incident as well.
    async with site.hub.database.transaction() as session:
        views.append(
            await site.hub.views.open_view(
                session, actor=site.duty, camera_id=site.cameras["lift"], area=BUILDING,
                kind="playback", purpose="incident", reference=sealed.number,
                place_kind="shared_space",
            )
        )  # fmt: skip
    hidden = {str(view) for view in [*views[0:12:3], views[12]]}
    everything = [str(view) for view in views[::-1]]
    asks, agrees = await sign_in("supervisor", BUILDING), await sign_in("auditor")
    until = (site.clock.now() + timedelta(days=3)).isoformat()
    body = {"incident_id": str(sealed.id), "reason": "Police asked, case 7", "until": until}
    seal = (await asks.post(SEALS, json=body)).json()
    assert [item["id"] for item in await site.listed()] == everything
    assert (await agrees.post(f"{SEALS}/{seal['id']}/approve")).json()["state"] == "sealed"
    found = await site.listed()
    assert [item["id"] for item in found] == [v for v in everything if v not in hidden]
    assert not any(item["delayed"] for item in found)
    later = str(await site.look("lift", incident=sealed))
    # Auditors see everything all the time.
    audited = (await agrees.get("/api/v1/view-records?limit=100")).json()["items"]
    assert {item["id"] for item in audited} == {*everything, later}
    digest = (await site.member.get(f"{DIGEST}?month=2026-11")).json()[0]
    assert digest["still_sealed"] == len(hidden) + 1
    await site.later(days=3, seconds=1)
    found = await site.listed()
    assert [item["id"] for item in found] == [later, *everything]
    assert {item["id"] for item in found if item["delayed"]} == {*hidden, later}
    new = str(await site.look("lift", incident=sealed))
    assert next(i for i in await site.listed() if i["id"] == new)["delayed"] is False


@BOTH_STORES
async def test_a_seal_takes_two_people_a_reason_and_an_end(
    site: Site, hub: Hub, sign_in: SignIn
) -> None:
    incident = await site.incident()
    asks, other = await sign_in("supervisor", BUILDING), await sign_in("supervisor", BUILDING)
    far, keeper = await sign_in("supervisor", "demo/far"), await sign_in("duty_staff", BUILDING)

    def body(days: float = 2, **more: Any) -> dict[str, Any]:
        until = (site.clock.now() + timedelta(days=days)).isoformat()
        return {"incident_id": str(incident.id), "reason": "Case 7", "until": until, **more}

    for bad in (body(-1), body(31), body(reason="  "), body(until="2026-12-01T00:00:00")):
        assert (await asks.post(SEALS, json=bad)).status_code == 422
    assert (await keeper.post(SEALS, json=body())).status_code == 403
    assert (await far.post(SEALS, json=body())).status_code == 404
    made = await asks.post(SEALS, json=body())
    assert (made.status_code, made.json()["state"]) == (201, "requested")
    assert (made.json()["number"], made.json()["allowed"]) == (incident.number, ["lift"])
    again = await other.post(SEALS, json=body())
    assert (again.status_code, again.json()["code"]) == (409, "already-sealed")
    path = f"{SEALS}/{made.json()['id']}"
    alone = await asks.post(f"{path}/approve")
    assert (alone.status_code, alone.json()["code"]) == (403, "second-person-needed")
    assert (await far.post(f"{path}/approve")).status_code == 404
    assert (await keeper.get(SEALS)).status_code == 403
    assert (await other.get(SEALS)).json()["items"][0]["allowed"] == ["approve", "lift"]
    assert (await other.post(f"{path}/approve")).json()["state"] == "sealed"
    assert (await other.post(f"{path}/approve")).json()["state"] == "sealed"
    assert (await asks.post(f"{path}/lift")).json()["state"] == "lifted"
    assert (await asks.post(f"{path}/lift")).json()["state"] == "lifted"
    assert (await other.post(f"{path}/approve")).json()["code"] == "seal-ended"
    second = (await other.post(SEALS, json=body())).json()
    await site.later(asks, other, days=2)
    assert (await asks.get(SEALS)).json()["items"][0]["state"] == "expired"
    assert (await asks.post(f"{SEALS}/{second['id']}/approve")).json()["code"] == "seal-ended"
    async with hub.database.transaction() as session:
        assert await hub.seals.expire(session) == 1
        assert await hub.seals.expire(session) == 0
    assert (await other.post(SEALS, json=body())).status_code == 201
    assert await ledger_kinds(hub, "seal.") == [
        "seal.requested", "seal.approved", "seal.lifted", "seal.requested", "seal.expired",
        "seal.requested",
    ]  # fmt: skip


@BOTH_STORES
async def test_a_kept_digest_stays_as_it_was_told(site: Site, sign_in: SignIn) -> None:
    incident = await site.incident()
    await site.look("home", "live", 90)
    await site.look("lift", "export", incident=incident)
    kept_back = await site.look("home", incident=incident)
    asks, agrees = await sign_in("supervisor", BUILDING), await sign_in("auditor")
    until = (site.clock.now() + timedelta(days=20)).isoformat()
    body = {"incident_id": str(incident.id), "reason": "Case 7", "until": until}
    seal = (await asks.post(SEALS, json=body)).json()["id"]
    await agrees.post(f"{SEALS}/{seal}/approve")
    assert await keep_digests(site.hub) == 0
    running = (await site.member.get(f"{DIGEST}?month=2026-11")).json()[0]
    assert (running["kept_at"], running["still_sealed"]) == (None, 2)
    await site.later(days=11)
    assert (await keep_digests(site.hub), await keep_digests(site.hub)) == (1, 0)
    kept = (await site.member.get(f"{DIGEST}?month=2026-11")).json()
    assert (await site.member.get(DIGEST)).json() == kept
    assert kept[0]["household"] == "Li, 0301"
    assert kept[0]["cameras"] == [
        {
            "camera_id": str(site.cameras["home"]), "name": "home", "place_kind": "home",
            "viewings": 1, "seconds": 90, "by_role": {"duty_staff": 1},
            "by_purpose": {"maintenance": 1},
        }
    ]  # fmt: skip
    assert (kept[0]["exports"], kept[0]["still_sealed"]) == (0, 2)
    async with site.hub.database.transaction() as session:
        (await session.get_one(Camera, site.cameras["home"])).name = "renamed"
    await site.later(days=10)
    assert (await site.member.get(f"{DIGEST}?month=2026-11")).json() == kept
    december = (await site.member.get(f"{DIGEST}?month=2026-12")).json()[0]
    assert (december["released"], december["still_sealed"]) == (2, 0)
    assert str(kept_back) in {item["id"] for item in await site.listed()}


async def test_a_month_goes_from_midnight_to_midnight_on_the_wall(site: Site) -> None:
    zone = ZoneInfo("Europe/Berlin")
    october, march = Month.parse("2026-10"), Month.parse("2026-03")
    assert october.start(zone) == datetime(2026, 9, 30, 22, 0, tzinfo=UTC)
    assert october.end(zone) == datetime(2026, 10, 31, 23, 0, tzinfo=UTC)
    assert october.end(zone) - october.start(zone) == timedelta(days=31, hours=1)
    assert march.end(zone) - march.start(zone) == timedelta(days=31, hours=-1)
    assert (str(Month(2026, 12).plus(1)), str(Month(2026, 1).plus(-13))) == ("2027-01", "2024-12")
    at_end = datetime(2026, 11, 30, 22, 59, 59, tzinfo=UTC)
    await site.later(seconds=(at_end - site.clock.now()).total_seconds())
    last = await site.look("home")
    site.clock.advance(1)
    first = await site.look("home")
    assert [i["id"] for i in await site.listed("&month=2026-11")] == [str(last)]
    assert [i["id"] for i in await site.listed("&month=2026-12")] == [str(first)]
    for bad in ("2026-13", "november", "2026-1", "0000-01"):
        answer = await site.member.get(f"{VIEWINGS}?month={bad}")
        assert (answer.status_code, answer.json()["code"]) == (422, "bad-month")
    answer = await site.member.get(f"{DIGEST}?month=2027-02")
    assert (answer.status_code, answer.json()["code"]) == (422, "bad-month")
