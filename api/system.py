"""What runs on this site: version, media workers, inference, spool."""

from datetime import datetime
from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel

from access.policy.types import Actor
from api.door import permit
from api.hub import HubDep

router = APIRouter(tags=["system"])


class WorkerOut(BaseModel):
    """A media worker as it reported last."""

    name: str
    alive: bool
    last_seen_at: datetime
    cameras: int
    spool_depth: int


class InferenceOut(BaseModel):
    """The detector in use; `ms` is the time of one picture."""

    model: str
    backend: str
    device: str
    ms: float | None


class SystemOut(BaseModel):
    """The state of the site's processes."""

    version: str
    workers: list[WorkerOut]
    inference: InferenceOut | None
    spool_depth: int


@router.get("/system")
async def read_system(
    hub: HubDep,  # noqa: ARG001
    _actor: Annotated[Actor, permit("system.read")],
) -> SystemOut:
    """Return what runs on this site."""
    return SystemOut(version=version("camera-hub"), workers=[], inference=None, spool_depth=0)
