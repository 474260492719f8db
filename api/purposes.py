"""What pictures may be looked at for."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel

from access.policy.types import Actor
from access.views.purposes import PURPOSES
from api.door import permit

router = APIRouter(tags=["purposes"])


class PurposeOut(BaseModel):
    """A purpose; its reference is the number of an incident, or a text such as a case number."""

    key: str
    needs_reference: bool
    reference: Literal["incident", "text"]


@router.get("/purposes")
async def list_purposes(_actor: Annotated[Actor, permit("purpose.list")]) -> list[PurposeOut]:
    """List the purposes for which snapshots, playback and exports are given."""
    return [
        PurposeOut(key=p.key, needs_reference=p.needs_reference, reference=p.reference)
        for p in PURPOSES
    ]
