"""How an endpoint gets hold of the hub. What only needs its services imports `api.services`."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from api.services import Hub, build_hub

__all__ = ["Hub", "HubDep", "build_hub", "get_hub", "hub_of"]


def hub_of(connection: HTTPConnection) -> Hub:
    """Return the hub of the application that serves this connection."""
    hub = connection.app.state.hub
    assert isinstance(hub, Hub)
    return hub


async def get_hub(connection: HTTPConnection) -> Hub:
    """Return the same as a dependency: one that is not async would go through a thread."""
    return hub_of(connection)


HubDep = Annotated[Hub, Depends(get_hub)]
