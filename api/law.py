"""The law in force."""

from typing import Annotated

from fastapi import APIRouter

from access.jurisdictions.schemas import LawOut
from access.policy.types import Actor
from api.door import permit
from api.hub import HubDep

router = APIRouter(tags=["law"])


@router.get("/law")
async def read_law(hub: HubDep, _actor: Annotated[Actor, permit("law.read")]) -> LawOut:
    """Return the rules and places of the jurisdiction in force. Configuration, not legal advice."""
    return hub.law.describe()
