"""Who walks through the house, and what stands in it: everybody's keys, one thing of each kind."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO
from itertools import count
from typing import Any
from uuid import UUID

from PIL import Image
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from access.consent.models import AlarmOpening, AlarmResponder, ConsentGrant
from access.households.models import Household, HouseholdMember
from access.policy import ANONYMOUS, SCOPES, Role, RoleBinding
from access.seals.models import Seal
from api.door import COOKIE, CSRF_HEADER
from api.hub import Hub
from camera_hub.devices.models import Camera
from camera_hub.plans.drawing import make_drawing
from camera_hub.plans.models import SitePlan
from camera_hub.recording.index.models import RecordingLock
from core.ids import new_id
from governance.alarms.models import AlarmDevice
from governance.areas.models import Area, Department
from governance.attachments.models import Attachment
from governance.attachments.store import check_picture
from governance.contacts.models import HouseholdContact
from governance.deliveries.schemas import GatewayCreate
from governance.duty.models import HandOver, Rota, RotaOverride
from governance.exports.models import ExportRequest
from governance.incidents.models import Incident
from governance.incidents.opening import NewIncident
from governance.signals.models import Signal
from governance.webhooks.schemas import WebhookCreate
from tests.support.http import password_hash

HERE = "demo/here"
THERE = "demo/there"
PEOPLE = [role.value for role in Role if role is not Role.SERVICE]
SHARED_WITH = [f"{role}+share" for role in PEOPLE]
ANSWERING = [f"{role}+alarm" for role in PEOPLE]

_ordinals = count(1)

Keys = dict[str, dict[str, str]]


@dataclass
class People:
    """Account ids by visitor, and the headers of tokens; sessions are opened afresh for each row.

    A visitor `ROLE` holds it in HERE; `ROLE+share` holds a share grant for the home camera HERE
    as well, `ROLE+alarm` answers an alarm that has opened it; `household` lives there, and is a
    resident of HERE. `token:SCOPE` counts in HERE.
    """

    accounts: dict[str, UUID] = field(default_factory=dict)
    tokens: Keys = field(default_factory=dict)

    async def keys(self, hub: Hub, visitors: Iterable[str]) -> Keys:
        """Return what each of `visitors` shows at the door."""
        found: Keys = {}
        async with hub.database.transaction() as session:
            for visitor in visitors:
                if visitor in self.accounts:
                    found[visitor] = await session_headers(hub, session, self.accounts[visitor])
                else:
                    found[visitor] = self.tokens.get(visitor, {})
        return found


async def session_headers(hub: Hub, session: Any, account_id: UUID) -> dict[str, str]:
    """Open a session; return what its browser sends."""
    opened = await hub.sessions.open(session, account_id, address="", user_agent="")
    return {"Cookie": f"{COOKIE}={opened.token}", CSRF_HEADER: opened.csrf_token}


async def make_people(hub: Hub) -> People:
    """Make everybody who walks."""
    people = People()
    async with hub.database.transaction() as session:
        for visitor in [*PEOPLE, *SHARED_WITH, *ANSWERING, "household"]:
            role = "resident" if visitor == "household" else visitor.partition("+")[0]
            people.accounts[visitor] = await _account(hub, session, visitor, Role(role), HERE)
        for scope in sorted(SCOPES):
            _, secret = await hub.tokens.issue(session, name=scope, scopes=[scope], area=HERE)
            people.tokens[f"token:{scope}"] = {"Authorization": f"Bearer {secret}"}
    return people


async def _account(hub: Hub, session: AsyncSession, name: str, role: Role, area: str) -> UUID:
    account = await hub.accounts.create(
        session,
        username="the-" + name.replace("_", "-").replace("+", "."),
        display_name=name,
        password=password_hash(),
        roles=[RoleBinding(role, area)],
    )
    return account.id


@dataclass
class Things:
    """One of each thing in one area, by the name of its path parameter."""

    ids: dict[str, UUID | str]

    def place(self, text: str) -> str:
        """Return `text` with the ids in it."""
        for name, value in self.ids.items():
            text = text.replace(f"{{{name}}}", str(value))
        text = text.replace("{alarm_id}", "00000000-0000-7000-8000-000000000000")
        text = text.replace("{number}", "1")
        return text.replace("{name}", "media-0").replace("{path:path}", "cameras")


async def make_things(
    hub: Hub,
    people: People,
    area: str,
    place_kind: str = "public_space",
    *,
    watched: bool = False,
) -> Things:
    """Put one of each thing into `area`; the camera and its incident show a `place_kind`.

    HERE the home is the household's, shared with SHARED_WITH and opened by an alarm to ANSWERING.
    """
    async with hub.database.transaction() as session:
        number = new_id().hex[-12:]
        account_id = await _account(hub, session, f"thing-{number}", Role.RESIDENT, area)
        token, _ = await hub.tokens.issue(session, name="t", scopes=["signal.post"], area=area)
        receiver = WebhookCreate(name="w", url="http://localhost:1/", area=area)
        webhook, _ = await hub.webhooks.create(session, receiver, ANONYMOUS)
        household = await hub.households.create(session, None, name="Flat 1204", area=area)
        await session.flush()
        own = household if place_kind == "home" else None
        camera = _camera(hub, area, place_kind, own, watched=watched)
        session.add(camera)
        incident = await hub.governance.incidents.open(session, _incident(hub, camera, number))
        session.add(_member(hub, household, account_id))
        standing = _grant(hub, household, camera, account_id, "alarm")
        session.add(standing)
        seal = Seal(
            id=new_id(),
            incident_id=incident.id,
            incident_number=incident.number,
            area=area,
            reason="An investigation is under way.",
            until=hub.clock.now() + timedelta(days=7),
            requested_by=account_id,
            requested_at=hub.clock.now(),
        )
        session.add(seal)
        lock = RecordingLock(
            id=new_id(),
            camera_id=camera.id,
            from_at=hub.clock.now() - timedelta(hours=1),
            to_at=hub.clock.now(),
            reason="A theft.",
            requested_by=account_id,
            created_at=hub.clock.now(),
            expires_at=hub.clock.now() + timedelta(days=7),
        )
        session.add(lock)
        export = _export(hub, camera, incident, account_id)
        picture = await _picture(hub, session, incident)
        device = _device(hub, household)
        session.add(device)
        session.add(export)
        plan = _plan(hub, area, number)
        session.add(plan)
        gateway, _ = await hub.gateways.create(session, None, _gateway(area, number))
        contact = _contact(hub, household, number)
        session.add(contact)
        standing_by = await _duty(hub, session, area, account_id, number)
        if area == HERE:
            session.add(_member(hub, household, people.accounts["household"]))
            await _open_home(hub, session, people, household, camera, incident, account_id)
    return Things(
        {
            "household_id": household.id,
            "grant_id": standing.id,
            "account_id": account_id,
            "token_id": token.id,
            "webhook_id": webhook.id,
            "gateway_id": gateway.id,
            "contact_id": contact.id,
            "camera_id": camera.id,
            "incident_id": incident.id,
            "attachment_id": picture.id,
            "seal_id": seal.id,
            "export_id": export.id,
            "lock_id": lock.id,
            "plan_id": plan.id,
            **standing_by,
            "device_id": device.id,
        }
    )


def _plan(hub: Hub, area: str, number: str) -> SitePlan:
    """Return a plan whose drawing is on the disk."""
    content = BytesIO()
    Image.new("RGB", (64, 48), (250, 250, 250)).save(content, "PNG")
    drawing = make_drawing(content.getvalue())
    path = hub.plans.files.path(drawing.sha256, drawing.suffix)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(drawing.content)
    return SitePlan(
        id=new_id(),
        name=f"Ground floor {number}",
        area=area,
        width=drawing.width,
        height=drawing.height,
        bytes=len(drawing.content),
        sha256=drawing.sha256,
        suffix=drawing.suffix,
        created_at=hub.clock.now(),
    )


def _gateway(area: str, number: str) -> GatewayCreate:
    return GatewayCreate(
        channel="voice",
        name=f"Exchange {number}",
        kind="http",
        url=SecretStr("http://localhost:1/"),
        area=area,
    )


def _contact(hub: Hub, household: Household, number: str) -> HouseholdContact:
    return HouseholdContact(
        id=new_id(),
        household_id=household.id,
        name="Neighbour",
        locale="zh-CN",
        asked_at=hub.clock.now(),
        token_hash=number,
    )


async def _duty(
    hub: Hub, session: AsyncSession, area: str, account_id: UUID, number: str
) -> dict[str, UUID | str]:
    """Put an area of its own, a department, a rota, an override and a hand-over into `area`."""
    now = hub.clock.now()
    for path in ("demo", HERE, THERE, f"{area}/cell-{number}"):
        if await session.get(Area, path) is None:
            level = ("county", "community", "cell")[path.count("/")]
            session.add(Area(path=path, name=path, level=level, created_at=now))
    department = Department(id=new_id(), name="Waterworks", area=area, created_at=now)
    rota = Rota(id=new_id(), area=area, post="patrol", name="Nights", created_at=now)
    session.add_all([department, rota])
    await session.flush()
    later = now + timedelta(days=1)
    override = RotaOverride(
        id=new_id(),
        rota_id=rota.id,
        from_at=now,
        until_at=later,
        account_id=account_id,
        created_at=now,
    )
    hand_over = HandOver(
        id=new_id(),
        rota_id=rota.id,
        from_id=account_id,
        to_id=account_id,
        open_incidents=[],
        offered_at=now,
    )
    session.add_all([override, hand_over])
    return {
        "area:path": f"{area}/cell-{number}",
        "department_id": department.id,
        "rota_id": rota.id,
        "override_id": override.id,
        "hand_over_id": hand_over.id,
    }


async def _open_home(
    hub: Hub,
    session: AsyncSession,
    people: People,
    household: Household,
    camera: Camera,
    incident: Incident,
    given_by: UUID,
) -> None:
    for visitor in SHARED_WITH:
        grant = _grant(hub, household, camera, given_by, "share")
        grant.account_id = people.accounts[visitor]
        grant.ends_at = hub.clock.now() + timedelta(days=1)
        session.add(grant)
    opening = await session.get(AlarmOpening, incident.id)
    if opening is None:
        opening = AlarmOpening(
            incident_id=incident.id, household_id=household.id, opened_at=hub.clock.now()
        )
        session.add(opening)
    opening.camera_id = None
    await session.flush()
    for visitor in ANSWERING:
        session.add(
            AlarmResponder(
                incident_id=incident.id,
                account_id=people.accounts[visitor],
                since=hub.clock.now(),
            )
        )


def _camera(
    hub: Hub, area: str, place_kind: str, household: Household | None, *, watched: bool
) -> Camera:
    return Camera(
        id=new_id(),
        name="Gate 3",
        area=area,
        place_kind=place_kind,
        household_id=None if household is None else household.id,
        residents_may_watch=watched,
        source_kind="rtsp",
        address="rtsp://192.0.2.1/",
        enabled=False,
        created_at=hub.clock.now(),
    )


def _incident(hub: Hub, camera: Camera, number: str) -> NewIncident:
    return NewIncident(
        kind="intrusion",
        type="org.camerahub.detection.intrusion",
        category="Security",
        urgency="Immediate",
        severity="severe",
        certainty="Likely",
        status="actual",
        dedup_key=number,
        headline="Somebody at Gate 3",
        area=camera.area,
        camera_id=camera.id,
        camera_name=camera.name,
        zone_name="",
        observed_at=hub.clock.now(),
        household_id=camera.household_id,
    )


async def _picture(hub: Hub, session: AsyncSession, incident: Incident) -> Attachment:
    """Put a real picture to the incident."""
    content = BytesIO()
    Image.new("RGB", (64, 48), (90, 120, 150)).save(content, "JPEG")
    picture = check_picture(content.getvalue(), "image/jpeg")
    hub.governance.pictures.write(picture)
    signal = Signal(
        id=new_id(),
        source="the walk",
        event_id=str(new_id()),
        type="org.camerahub.detection.intrusion",
        phase="begin",
        content_hash=b"0" * 32,
        payload={"data": {}},
        occurred_at=hub.clock.now(),
        received_at=hub.clock.now(),
        incident_id=incident.id,
    )
    session.add(signal)
    await session.flush()
    attachment = Attachment(
        id=new_id(),
        sha256=picture.sha256,
        name="gate.jpg",
        media_type=picture.media_type,
        width=picture.width,
        height=picture.height,
        size=len(picture.content),
        signal_id=signal.id,
        incident_id=incident.id,
        created_at=hub.clock.now(),
    )
    session.add(attachment)
    return attachment


def _export(hub: Hub, camera: Camera, incident: Incident, asked_by: UUID) -> ExportRequest:
    return ExportRequest(
        id=new_id(),
        year=2026,
        ordinal=next(_ordinals),
        incident_id=incident.id,
        incident_number=incident.number,
        area=camera.area,
        camera_id=camera.id,
        camera_name=camera.name,
        place_kind=camera.place_kind,
        household_id=camera.household_id,
        attachment_ids=[],
        purpose="case",
        reference="A-2026-17",
        reason="Asked for by the court.",
        audience="authority",
        expires_in_days=3,
        state="requested",
        requested_by=asked_by,
        requested_at=hub.clock.now(),
    )


def _device(hub: Hub, household: Household) -> AlarmDevice:
    return AlarmDevice(
        id=new_id(),
        household_id=household.id,
        kind="button",
        name="Bedside",
        created_at=hub.clock.now(),
    )


def _member(hub: Hub, household: Household, account_id: UUID) -> HouseholdMember:
    return HouseholdMember(household_id=household.id, account_id=account_id, since=hub.clock.now())


def _grant(
    hub: Hub, household: Household, camera: Camera, given_by: UUID, kind: str
) -> ConsentGrant:
    return ConsentGrant(
        id=new_id(),
        camera_id=camera.id,
        household_id=household.id,
        kind=kind,
        given_by=given_by,
        given_at=hub.clock.now(),
    )
