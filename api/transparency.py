"""The page of transparency: for everybody, without sign-in."""

from fastapi import APIRouter

from api.hub import HubDep
from api.noticeboard import TransparencyOut

router = APIRouter(tags=["transparency"])


@router.get("/transparency")
async def read_transparency(hub: HubDep) -> TransparencyOut:
    """Return every public and shared camera, and counts of viewings and exports by month.

    Needs no sign-in. Counted at most once a minute.
    """
    return await hub.noticeboard.read(hub)
