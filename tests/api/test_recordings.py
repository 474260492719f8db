"""What is recorded of a camera over HTTP, what is kept under lock, and for whom."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from access.households.models import Household, HouseholdMember
from access.ledger.models import LedgerEntry
from access.policy.types import Role
from api.hub import Hub
from api.recording_watch import SETTLES_S, WITHDRAWN_EVERY_S, RecordingWatch
from camera_hub.devices.models import Camera, CameraOutage
from camera_hub.recording.index.models import RecordingLock
from camera_hub.recording.index.schemas import SegmentIn
from core.clock import ManualClock
from core.ids import new_id
from governance.incidents.models import Incident
from governance.incidents.opening import NewIncident
from tests.api.test_workers import beat, report
from tests.support.http import Client, ServiceClient, SignIn
from tests.support.recorded import write_segment

BOTH_STORES = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)
AREA = "demo/riverside"
NOW = datetime(2026, 1, 1, 8, 0, tzinfo=UTC)


def ago(**back: float) -> datetime:
    return NOW - timedelta(**back)


def iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


@dataclass
class Place:
    """A camera, its household if it looks into a home, and the disk."""

    hub: Hub
    camera_id: UUID
    disk: Path

    @property
    def url(self) -> str:
        return f"/api/v1/cameras/{self.camera_id}/recordings"

    async def record(self, start: datetime, seconds: int = 4, count: int = 1) -> list[SegmentIn]:
        made = [
            write_segment(
                self.disk, self.camera_id, start + timedelta(seconds=seconds * n),
                seconds=seconds, sequence=n,
            )
            for n in range(count)
        ]  # fmt: skip
        async with self.hub.database.transaction() as session:
            out = await self.hub.recordings.take(session, "test", made)
        assert not out.refused
        return made

    async def incident(self, at: datetime, **more: Any) -> Incident:
        async with self.hub.database.transaction() as session:
            camera = await session.get_one(Camera, self.camera_id)
            values: dict[str, Any] = {
                "kind": "intrusion", "type": "org.camerahub.detection.intrusion",
                "category": "Security", "urgency": "immediate", "severity": "severe",
                "certainty": "observed", "status": "actual", "dedup_key": str(new_id()),
                "headline": "Person at the gate", "area": camera.area, "camera_id": camera.id,
                "camera_name": camera.name, "zone_name": "", "household_id": camera.household_id,
                "observed_at": at, **more,
            }  # fmt: skip
            return await self.hub.governance.incidents.open(session, NewIncident(**values))


async def place(hub: Hub, household: UUID | None = None, **values: Any) -> Place:
    disk = hub.settings.data_dir / "recordings"
    disk.mkdir(parents=True, exist_ok=True)
    (disk / ".camera-hub-disk").write_text("main\n")
    kind = "home" if household else "shared_space"
    camera = Camera(
        id=new_id(), name="Gate", source_kind="rtsp", address="rtsp://127.0.0.1:9/cam",
        household_id=household,
        **{
            "created_at": ago(days=40), "area": AREA, "place_kind": kind,
            "recording": {"mode": "always"}, **values,
        },
    )  # fmt: skip
    async with hub.database.transaction() as session:
        session.add(camera)
    return Place(hub, camera.id, disk)


async def home(hub: Hub, member: Client) -> Place:
    household = Household(id=new_id(), name="Flat 1204", area=AREA, created_at=ago(days=40))
    async with hub.database.transaction() as session:
        session.add(household)
        await session.flush()
        session.add(
            HouseholdMember(
                household_id=household.id, account_id=member.account_id, since=ago(days=40)
            )
        )
    return await place(hub, household.id)


def lock(of: Place, **more: Any) -> dict[str, Any]:
    return {
        "camera_id": str(of.camera_id), "from": iso(ago(hours=2)), "to": iso(ago(hours=1)),
        "reason": "A theft at the gate", "expires_at": iso(NOW + timedelta(days=20)), **more,
    }  # fmt: skip


@BOTH_STORES
async def test_spans_gaps_with_reasons_incidents_and_locks(hub: Hub, sign_in: SignIn) -> None:
    duty, of = await sign_in(Role.DUTY_STAFF, AREA), await place(hub, retention_hours=24)
    await of.record(ago(hours=30))
    await of.record(ago(hours=2), count=3)
    await of.record(ago(hours=1))
    async with hub.database.transaction() as session:
        session.add(
            CameraOutage(
                id=new_id(), camera_id=of.camera_id, kind="offline",
                started_at=ago(hours=1, minutes=30), ended_at=ago(hours=1, minutes=10),
            )
        )  # fmt: skip
    await hub.recordings.sweep()
    incident = await of.incident(ago(hours=2))
    assert (await duty.post("/api/v1/recordings/locks", json=lock(of))).status_code == 201
    answer = await duty.get(of.url, params={"from": iso(ago(hours=31)), "to": iso(NOW)})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert [(one["from"], one["to"], one["cause"]) for one in body["spans"]] == [
        (iso(ago(hours=2)), iso(ago(hours=2) + timedelta(seconds=12)), "always"),
        (iso(ago(hours=1)), iso(ago(hours=1) + timedelta(seconds=4)), "always"),
    ]
    reasons = [one["reason"] for one in body["gaps"]]
    assert reasons == [
        "unknown", "deleted", "unknown", "unknown", "offline", "unknown", "unknown", "not_yet",
    ]  # fmt: skip
    assert body["gaps"][4] == {
        "from": iso(ago(hours=1, minutes=30)), "to": iso(ago(hours=1, minutes=10)),
        "reason": "offline",
    }  # fmt: skip
    assert [(one["number"], one["kind"], one["severity"]) for one in body["incidents"]] == [
        (incident.number, "intrusion", "severe")
    ]
    assert [one["reason"] for one in body["locks"]] == ["A theft at the gate"]
    assert (body["oldest_at"], body["retention_h"]) == (iso(ago(hours=2)), 24)


async def test_a_camera_that_records_by_schedule_or_not_at_all_says_so(
    hub: Hub, sign_in: SignIn
) -> None:
    duty = await sign_in(Role.DUTY_STAFF, AREA)
    for mode, reason in (("off", "off"), ("schedule", "schedule"), ("event", "no_event")):
        of = await place(hub, recording={"mode": mode}, created_at=ago(hours=3))
        body = (await duty.get(of.url, params={"from": iso(ago(hours=4))})).json()
        reasons = [one["reason"] for one in body["gaps"]]
        assert reasons == ["not_added", reason] + (["not_yet"] if mode != "off" else [])


async def test_a_span_has_a_beginning_an_end_and_a_limit(hub: Hub, sign_in: SignIn) -> None:
    duty, of = await sign_in(Role.DUTY_STAFF, AREA), await place(hub)
    for start, end in ((NOW, NOW), (NOW, ago(hours=1)), (ago(days=40), NOW)):
        answer = await duty.get(of.url, params={"from": iso(start), "to": iso(end)})
        assert (answer.status_code, answer.json()["code"]) == (422, "bad-span")
    assert (await duty.get(of.url, params={"from": "2026-01-01T00:00"})).status_code == 422
    for month in ("2026-13", "yesterday", "1026-01"):
        assert (await duty.get(f"{of.url}/days", params={"month": month})).status_code == 422


@BOTH_STORES
async def test_days_are_those_of_the_site(hub: Hub, sign_in: SignIn) -> None:
    site = hub.settings.site.model_copy(update={"time_zone": "Asia/Shanghai"})
    hub.settings = hub.settings.model_copy(update={"site": site})
    duty, of = await sign_in(Role.DUTY_STAFF, AREA), await place(hub)
    # 23:59:58 and 00:00:02 of the 31st there; the month ends an hour before UTC's day does.
    first = await of.record(datetime(2025, 12, 30, 15, 59, 58, tzinfo=UTC), count=2)
    last = await of.record(datetime(2025, 12, 31, 15, 0, tzinfo=UTC))
    await of.record(datetime(2025, 12, 31, 16, 0, tzinfo=UTC))
    body = (await duty.get(f"{of.url}/days", params={"month": "2025-12"})).json()
    assert body == [
        {"day": "2025-12-30", "seconds": 4.0, "bytes": first[0].bytes},
        {"day": "2025-12-31", "seconds": 8.0, "bytes": first[1].bytes + last[0].bytes},
    ]
    assert [one["day"] for one in (await duty.get(f"{of.url}/days")).json()] == ["2026-01-01"]


async def test_a_home_is_its_households_affair(hub: Hub, sign_in: SignIn) -> None:
    member = await sign_in(Role.RESIDENT, AREA)
    of = await home(hub, member)
    await of.record(ago(hours=2))
    assert len((await member.get(of.url)).json()["spans"]) == 1
    for role in (Role.DUTY_STAFF, Role.OPERATOR, Role.SUPERVISOR, Role.RESIDENT):
        client = await sign_in(role, AREA)
        never = await client.get(f"/api/v1/cameras/{new_id()}/recordings")
        for path in (of.url, f"{of.url}/days"):
            answer = await client.get(path)
            assert answer.status_code == never.status_code
            assert answer.json()["code"] == never.json()["code"]
    made = await member.post("/api/v1/recordings/locks", json=lock(of))
    assert made.status_code == 201
    other = await sign_in(Role.SUPERVISOR, AREA)
    url = f"/api/v1/recordings/locks/{made.json()['id']}"
    assert (await other.get("/api/v1/recordings/locks")).json()["items"] == []
    assert (await other.post("/api/v1/recordings/locks", json=lock(of))).status_code == 404
    assert (await other.delete(url)).status_code == 404
    assert (await member.delete(url)).json()["state"] == "ended"


@BOTH_STORES
async def test_a_lock_is_made_listed_and_ended_by_its_maker_or_a_supervisor(
    hub: Hub, sign_in: SignIn
) -> None:
    maker, other = await sign_in(Role.DUTY_STAFF, AREA), await sign_in(Role.DUTY_STAFF, AREA)
    boss, far = await sign_in(Role.SUPERVISOR, AREA), await sign_in(Role.SUPERVISOR, "demo/hill")
    of = await place(hub)
    incident = await of.incident(ago(hours=2))
    body = lock(of, incident_id=str(incident.id))
    made = [(await maker.post("/api/v1/recordings/locks", json=body)).json() for _ in range(2)]
    assert made[0]["requested_by"]["username"] == maker.username
    assert (made[0]["state"], made[0]["allowed"]) == ("active", ["extend", "end"])
    listed = (await other.get("/api/v1/recordings/locks?limit=1")).json()
    assert [one["id"] for one in listed["items"]] == [made[1]["id"]]
    assert listed["items"][0]["allowed"] == []
    rest = (
        await other.get(f"/api/v1/recordings/locks?limit=1&cursor={listed['next_cursor']}")
    ).json()
    assert [one["id"] for one in rest["items"]] == [made[0]["id"]]
    assert (await far.get("/api/v1/recordings/locks")).json()["items"] == []
    urls = [f"/api/v1/recordings/locks/{one['id']}" for one in made]
    answer = await other.delete(urls[0])
    assert (answer.status_code, answer.json()["code"]) == (403, "not-yours")
    assert (await far.delete(urls[0])).status_code == 404
    assert (await maker.delete(urls[0])).json()["ended_by"]["username"] == maker.username
    assert (await boss.delete(urls[1])).json()["state"] == "ended"
    assert (await boss.delete(urls[1])).json()["code"] == "lock-ended"
    assert (await other.get("/api/v1/recordings/locks")).json()["items"] == []
    assert len((await other.get("/api/v1/recordings/locks?state=all")).json()["items"]) == 2
    async with hub.database.read() as session:
        rows = await session.scalars(select(LedgerEntry).order_by(LedgerEntry.seq))
        kinds = [row.kind for row in rows if row.kind.startswith("recording.")]
    assert kinds == ["recording.locked"] * 2 + ["recording.unlocked"] * 2


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"to": iso(ago(hours=3))}, 422, "bad-span"),
        ({"from": iso(ago(days=40))}, 422, "bad-span"),
        ({"from": iso(NOW + timedelta(hours=1)), "to": iso(NOW + timedelta(hours=2))}, 422,
         "bad-span"),
        ({"expires_at": iso(NOW)}, 422, "bad-expiry"),
        ({"expires_at": iso(NOW + timedelta(days=366))}, 422, "bad-expiry"),
        ({"reason": ""}, 422, "invalid-input"),
        ({"incident_id": str(new_id())}, 422, "unknown-reference"),
        ({"camera_id": str(new_id())}, 404, "not-found"),
        ({"what": 1}, 422, "invalid-input"),
    ],
)  # fmt: skip
async def test_a_lock_that_makes_no_sense_is_refused(
    hub: Hub, sign_in: SignIn, wrong: dict[str, Any], status: int, code: str
) -> None:
    duty, of = await sign_in(Role.DUTY_STAFF, AREA), await place(hub)
    answer = await duty.post("/api/v1/recordings/locks", json=lock(of, **wrong))
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@BOTH_STORES
async def test_a_lock_lasts_longer_for_a_reason(
    hub: Hub, sign_in: SignIn, clock: ManualClock
) -> None:
    of = await place(hub)
    maker, other = await sign_in("duty_staff", AREA), await sign_in("duty_staff", AREA)
    boss = await sign_in("supervisor", AREA)
    made = (await maker.post("/api/v1/recordings/locks", json=lock(of))).json()
    assert made["allowed"] == ["extend", "end"]
    url = f"/api/v1/recordings/locks/{made['id']}"
    later = (clock.now() + timedelta(days=60)).isoformat()
    wish = {"expires_at": later, "reason": "The court asks for it."}
    assert (await other.patch(url, json=wish)).json()["code"] == "not-yours"
    longer = await boss.patch(url, json=wish)
    assert longer.status_code == 200, longer.text
    assert datetime.fromisoformat(longer.json()["expires_at"]) == datetime.fromisoformat(later)
    for until, code in ((later, "bad-expiry"), ("2199-01-01T00:00:00Z", "bad-expiry")):
        wrong = await boss.patch(url, json={**wish, "expires_at": until})
        assert (wrong.status_code, wrong.json()["code"]) == (422, code)
    assert (await boss.patch(url, json={**wish, "reason": ""})).status_code == 422
    here = f"/api/v1/recordings/locks?camera_id={made['camera_id']}"
    assert len((await boss.get(here)).json()["items"]) == 1
    nowhere = (await boss.get(f"/api/v1/recordings/locks?camera_id={made['id']}")).json()
    assert nowhere["items"] == []
    assert (await boss.delete(f"{url}?reason=settled")).status_code == 200
    assert (await boss.patch(url, json=wish)).json()["code"] == "lock-ended"
    async with hub.database.read() as session:
        query = select(LedgerEntry.body).where(LedgerEntry.kind.startswith("recording."))
        bodies = list(await session.scalars(query.order_by(LedgerEntry.seq)))
    assert "The court asks for it." in bodies[1]
    assert "settled" in bodies[2]


async def locks_of(hub: Hub, incident: Incident) -> list[tuple[datetime, datetime, bool]]:
    async with hub.database.read() as session:
        query = select(RecordingLock).where(RecordingLock.incident_id == incident.id)
        rows = await session.scalars(query.order_by(RecordingLock.id))
        return [(row.from_at, row.to_at, row.ended_at is None) for row in rows]


@BOTH_STORES
async def test_what_shows_an_incident_is_kept_until_it_is_called_a_false_alarm(
    hub: Hub, sign_in: SignIn, clock: ManualClock
) -> None:
    watch, of = RecordingWatch(hub), await place(hub, retention_hours=1)
    incident = await of.incident(ago(minutes=1))
    test = await of.incident(ago(minutes=1), status="test")
    await watch.keep_incidents()
    await watch.keep_incidents()
    begin, end = ago(seconds=90), NOW + timedelta(seconds=120)
    assert await locks_of(hub, incident) == [(begin, end, True)]
    assert await locks_of(hub, test) == []
    # It goes on: what a later signal shows is kept as well.
    clock.advance(300)
    async with hub.database.transaction() as session:
        row = await session.get_one(Incident, incident.id)
        row.observed_at = row.last_signal_at = clock.now()
    await watch.keep_incidents()
    assert await locks_of(hub, incident) == [(begin, clock.now() + timedelta(seconds=120), True)]
    files = await of.record(ago(seconds=60))
    clock.advance(7200)
    assert (await hub.recordings.sweep()).deleted == {}
    async with hub.database.transaction() as session:
        row = await session.get_one(Incident, incident.id)
        row.resolution, row.is_open = "false_alarm", False
    await watch.keep_incidents()
    assert [active for _, _, active in await locks_of(hub, incident)] == [False]
    assert (await hub.recordings.sweep()).deleted == {"retention": 1}
    assert not (of.disk / files[0].path).exists()
    await watch.keep_incidents()
    assert len(await locks_of(hub, incident)) == 1


async def test_a_wrong_clock_at_the_start_or_later_ends_no_lock_and_deletes_nothing(
    hub: Hub, clock: ManualClock
) -> None:
    watch, of = RecordingWatch(hub), await place(hub, retention_hours=1)
    incident = await of.incident(NOW)
    await watch.keep_incidents()
    files = await of.record(ago(seconds=10))
    old = await of.record(ago(hours=3))
    await watch.look()
    assert (of.disk / old[0].path).exists()  # the clock may not have been set yet
    clock.advance(SETTLES_S)
    await watch.look()
    assert not (of.disk / old[0].path).exists()
    clock.jump(timedelta(days=60).total_seconds())
    clock.advance(WITHDRAWN_EVERY_S)
    await watch.look()
    clock.jump(-timedelta(days=60).total_seconds())
    clock.advance(2 * 3600)
    await watch.look()
    assert [active for _, _, active in await locks_of(hub, incident)] == [True]
    assert (of.disk / files[0].path).exists()


async def test_a_fault_that_no_picture_shows_locks_nothing(hub: Hub) -> None:
    watch, of = RecordingWatch(hub), await place(hub)
    wrong = await of.incident(NOW, kind="camera_clock", type="org.camerahub.camera.clock")
    covered = await of.incident(NOW, kind="camera_covered", type="org.camerahub.camera.covered")
    await watch.keep_incidents()
    assert await locks_of(hub, wrong) == []
    assert len(await locks_of(hub, covered)) == 1


async def test_what_a_person_has_unlocked_is_not_locked_again(
    hub: Hub, sign_in: SignIn, clock: ManualClock
) -> None:
    watch, of, boss = RecordingWatch(hub), await place(hub), await sign_in(Role.SUPERVISOR, AREA)
    incident = await of.incident(NOW)
    await watch.keep_incidents()
    (one,) = (await boss.get("/api/v1/recordings/locks")).json()["items"]
    assert (one["requested_by"], one["incident_id"]) == (None, str(incident.id))
    assert (await boss.delete(f"/api/v1/recordings/locks/{one['id']}")).status_code == 200
    clock.advance(10)
    await watch.keep_incidents()
    assert len(await locks_of(hub, incident)) == 1


async def test_what_is_recorded_of_a_home_is_told_to_nobody_by_way_of_its_health_or_the_disks(
    hub: Hub, sign_in: SignIn, service_client: ServiceClient, clock: ManualClock
) -> None:
    member, admin = await sign_in(Role.RESIDENT, AREA), await sign_in(Role.ADMINISTRATOR)
    of = await home(hub, member)
    await of.record(ago(minutes=30))
    url = f"/api/v1/cameras/{of.camera_id}/health"
    mine, theirs = (await member.get(url)).json(), (await admin.get(url)).json()
    assert mine["gaps"]
    assert mine["recorded"] is not None
    assert (theirs["gaps"], theirs["recorded"]) == ([], None)
    assert theirs["availability"] is not None
    (area,) = (await admin.get("/api/v1/areas/health")).json()
    assert (area["cameras"], area["recorded"]) == (1, None)
    assert (await admin.get("/api/v1/storage")).json()["cameras"] == []
    assert (await admin.get(of.url)).status_code == 403
    # Nor by its state of this moment.
    await beat(
        await service_client(["worker.heartbeat"]),
        {
            **report(clock, str(of.camera_id)),
            "recording": {"state": "recording", "disk": "main", "bytes": 9},
        },
    )
    camera = f"/api/v1/cameras/{of.camera_id}"
    told = [(await who.get(camera)).json()["status"] for who in (member, admin)]
    assert [one["state"] for one in told] == ["online", "online"]
    assert told[0]["recording"]["state"] == "recording"
    assert told[1]["recording"] is None


async def test_times_beyond_the_calendar_are_refused_and_no_error_of_the_hub(
    hub: Hub, sign_in: SignIn
) -> None:
    boss, of = await sign_in(Role.SUPERVISOR, AREA), await place(hub)
    edges = {"from": "9999-12-31T23:00:00-12:00", "to": "9999-12-31T23:59:00-12:00"}
    first = {"from": "0001-01-01T00:00:00+12:00", "to": "0001-01-01T01:00:00+12:00"}
    for wrong in (edges, first, {"to": first["to"]}, {"to": "0001-01-01T00:00:00Z"}):
        assert (await boss.get(of.url, params=wrong)).status_code == 422, wrong
        answer = await boss.post("/api/v1/recordings/locks", json={**lock(of), **wrong})
        assert answer.status_code == 422, answer.text
