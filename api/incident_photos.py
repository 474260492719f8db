"""Pictures of the result of the work, sent by those who did it."""

import asyncio
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from access.policy.types import Actor
from api.door import permit, require
from api.hub import HubDep
from api.incidents import mine, visible
from core.errors import InvalidInputError
from governance.attachments.results import MAX_BYTES, PictureTooLargeError, check_result
from governance.incidents import views
from governance.incidents.schemas import IncidentDetailOut

router = APIRouter(tags=["incidents"])

_PHOTO = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["photo"],
                "properties": {"photo": {"type": "string", "format": "binary"}},
            }
        }
    },
}


@router.post(
    "/incidents/{incident_id}/photos", status_code=201, openapi_extra={"requestBody": _PHOTO}
)
async def add_incident_photo(
    incident_id: UUID,
    request: Request,
    response: Response,
    hub: HubDep,
    actor: Annotated[Actor, permit("incident.photo")],
) -> IncidentDetailOut:
    """Add a picture of the result: the part `photo` of a form. The same one again changes nothing.

    Answers 201, or 200 if it was there already.
    """
    async with hub.database.read() as session:
        incident = await visible(hub, session, actor, incident_id)
        require(hub, actor, "incident.photo", incident.resource())
        hub.governance.incidents.check_photo(incident, [])
    name, content = await _photo(request)
    picture = await asyncio.to_thread(check_result, content)
    await asyncio.to_thread(hub.governance.pictures.write, picture)
    async with hub.database.transaction() as session:
        incidents = hub.governance.incidents
        incident = await mine(hub, session, actor, incident_id, "incident.photo")
        if await incidents.add_photo(session, incident, actor, picture, name):
            await incidents.publish(session, incident, "photo")
        else:
            response.status_code = 200
        return await views.describe_fully(session, incident)


async def _photo(request: Request) -> tuple[str, bytes]:
    """Return the name and the bytes of the part `photo`.

    Raises:
        InvalidInputError: there is none.
        PictureTooLargeError: it is too large.
    """
    try:
        async with request.form(max_files=1, max_fields=4) as form:
            part = form.get("photo")
            if not isinstance(part, UploadFile):
                raise _no_photo()
            content = await part.read(MAX_BYTES + 1)
            name = "".join(c for c in part.filename or "" if c.isprintable())[:200]
    except HTTPException as error:
        raise _no_photo() from error
    if len(content) > MAX_BYTES:
        raise PictureTooLargeError(
            "The picture has more than 10 MB.", remedy="Send a smaller version of it."
        )
    return name or "photo.jpg", content


def _no_photo() -> InvalidInputError:
    return InvalidInputError(
        "The request holds no picture.",
        remedy="Send a form (multipart/form-data) with one file in the part 'photo'.",
        code="invalid-picture",
    )
