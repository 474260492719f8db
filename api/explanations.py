"""Why somebody may or may not do something, for administrators and auditors."""

from typing import Annotated

from fastapi import APIRouter

from access.policy.types import Actor
from api.door import permit
from api.explaining import ExplainRequest, ExplanationOut, explain_access
from api.hub import HubDep

router = APIRouter(tags=["access"])


@router.post("/access/explanations")
async def explain_decision(
    body: ExplainRequest, hub: HubDep, actor: Annotated[Actor, permit("access.explain")]
) -> ExplanationOut:
    """Ask the policy as the door would at this moment, and say what made the decision.

    Nothing is changed, and nobody is let in by it. Things outside of the own areas are not found.
    """
    async with hub.database.read() as session:
        return await explain_access(hub, session, body, actor)
