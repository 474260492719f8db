"""Whether the hub is there and can work; without sign-in and without details."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from api.hub import HubDep
from core.errors import UnavailableError
from core.logging import get_logger

router = APIRouter(tags=["health"])
_log = get_logger("api.health")


class HealthOut(BaseModel):
    """All is well; anything else is a problem with status 503."""

    status: Literal["ok"] = "ok"


@router.get("/health/live")
async def health_live() -> HealthOut:
    """Answer as long as the process serves requests."""
    return HealthOut()


@router.get("/health/ready")
async def health_ready(hub: HubDep) -> HealthOut:
    """Answer 200 if the database answers and the hub is not stopping, else 503."""
    try:
        await hub.database.ping()
    except (SQLAlchemyError, OSError) as error:
        _log.warning("not_ready", error=str(error))
        raise UnavailableError(
            "The hub is not ready.", remedy="Wait a little; its log says why.", code="not-ready"
        ) from error
    if hub.closing.is_set():
        raise UnavailableError("The hub is stopping.", remedy="Wait a little.", code="not-ready")
    return HealthOut()
