"""Prometheus metrics of the API process."""

from typing import Annotated

from fastapi import APIRouter, Response

from access.policy.types import Actor
from api.door import permit
from core.metrics import exposition

router = APIRouter(tags=["metrics"])


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def read_metrics(
    _actor: Annotated[Actor, permit("metrics.read", loopback=True)],
) -> Response:
    """Return the metrics in Prometheus' text format; for tokens, and for this machine itself."""
    return Response(exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")
