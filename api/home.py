"""The own home: its cameras, who may look into it, and what others have shared."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from access.consent.schemas import GrantOut
from access.households.schemas import MemberOut
from access.policy.types import Actor
from api.door import permit
from api.grants import describe_grants
from api.hub import Hub, HubDep
from camera_hub.devices import homes
from camera_hub.devices.models import Camera
from camera_hub.streams.types import StreamState
from governance.areas import repository as areas

router = APIRouter(tags=["home"])


class CameraBrief(BaseModel):
    """A home camera. `grants` are those that are live: who may look, when and until when."""

    id: UUID
    name: str
    state: StreamState
    enabled: bool
    grants: list[GrantOut]


class HomeHouseholdOut(BaseModel):
    """A household that one lives in."""

    id: UUID
    name: str
    area: str
    members: list[MemberOut]
    cameras: list[CameraBrief]


class HomeOut(BaseModel):
    """The own homes, and the cameras of others that are shared with oneself.

    `area_names` is what people call the areas of the homes, and those above them, by path.
    """

    households: list[HomeHouseholdOut]
    area_names: dict[str, str]
    shared_with_me: list[CameraBrief]


@router.get("/home")
async def read_home(hub: HubDep, actor: Annotated[Actor, permit("home.read")]) -> HomeOut:
    """Return the own homes with their cameras and consents, and what others share."""
    async with hub.database.read() as session:
        rows = await hub.households.page(session, areas=(), own=actor.households, limit=100)
        described = await hub.households.describe(session, rows, {})
        own = await homes.of_households(session, actor.households)
        area_names = await areas.names(session, {row.area for row in described})
        shares = await hub.consent.of_actor(session, actor)
        shared = await homes.by_ids(session, {row.camera_id for row in shares})
        consents = [
            row
            for household_id in actor.households
            for row in await hub.consent.of_household(session, household_id)
        ]
        given = await describe_grants(hub, session, consents)
        taken = await describe_grants(hub, session, shares)
    # A share of a household that the camera no longer belongs to shows nothing.
    belongs = {camera.id: camera.household_id for camera in shared}
    taken = [grant for grant in taken if belongs.get(grant.camera_id) == grant.household_id]
    visible = {grant.camera_id for grant in taken}
    return HomeOut(
        households=[
            HomeHouseholdOut(
                id=row.id,
                name=row.name,
                area=row.area,
                members=row.members,
                cameras=_briefs(hub, [c for c in own if c.household_id == row.id], given),
            )
            for row in described
        ],
        area_names=area_names,
        shared_with_me=_briefs(hub, [c for c in shared if c.id in visible], taken),
    )


def _briefs(hub: Hub, cameras: Sequence[Camera], grants: Sequence[GrantOut]) -> list[CameraBrief]:
    return [
        CameraBrief(
            id=camera.id,
            name=camera.name,
            state=hub.devices.status_of(camera).state,
            enabled=camera.enabled,
            grants=[grant for grant in grants if grant.camera_id == camera.id],
        )
        for camera in cameras
    ]
