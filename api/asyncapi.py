"""What changes, described for programs: AsyncAPI 3.0 and JSON Schema, out of the same models."""

import asyncio
from importlib.metadata import version
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, Field
from pydantic.json_schema import models_json_schema
from starlette.responses import JSONResponse, Response

from camera_hub.devices.schemas import StatusOut
from governance.fanout.cloudevents import PREFIX, TYPES
from governance.incidents.schemas import IncidentOut

router = APIRouter(tags=["description"])

ASYNCAPI_VERSION = "3.0.0"


class IncidentEvent(IncidentOut):
    """An incident as it was when the event was written."""

    change: str = Field(description="What was done: an action of the incident's history")


class CameraStateEvent(BaseModel):
    """How a camera is doing."""

    camera_id: UUID
    status: StatusOut


class CameraChangedEvent(BaseModel):
    """A camera to be read again."""

    camera_id: UUID


class CloudEventOut(BaseModel):
    """CloudEvents 1.0 in structured mode. `data` is by `type`; the rest is the same for all."""

    specversion: str = Field(description="1.0")
    id: str = Field(description="The same each time the event is sent")
    source: str
    type: str
    time: AwareDatetime
    datacontenttype: str = Field(description="application/json")
    subject: str = Field(default="", description="Id of the incident or camera")
    area: str = Field(description="county/township/community/cell; empty: the whole site")
    sequence: str = Field(description="Rises with each event of this hub; 20 digits")
    data: dict[str, Any]


DATA: dict[str, type[BaseModel]] = {
    "incident.opened": IncidentEvent,
    "incident.updated": IncidentEvent,
    "incident.escalated": IncidentEvent,
    "camera.state": CameraStateEvent,
    "camera.changed": CameraChangedEvent,
}


def event_schemas() -> dict[str, dict[str, Any]]:
    """Return, by name, the JSON Schemas of every event's data and of the envelope."""
    models: dict[type[BaseModel], None] = dict.fromkeys([*DATA.values(), CloudEventOut])
    _, found = models_json_schema(
        [(model, "serialization") for model in models], ref_template="#/components/schemas/{model}"
    )
    schemas: dict[str, dict[str, Any]] = found["$defs"]
    return schemas


def _message(name: str, summary: str) -> dict[str, Any]:
    data = {"$ref": f"#/components/schemas/{DATA[name].__name__}"}
    kind = {"properties": {"type": {"const": PREFIX + name}, "data": data}}
    return {
        "name": PREFIX + name,
        "title": summary,
        "contentType": "application/cloudevents+json",
        "payload": {"allOf": [{"$ref": "#/components/schemas/CloudEventOut"}, kind]},
    }


def asyncapi_document() -> dict[str, Any]:
    """Return the AsyncAPI description; needs no database and no settings."""
    messages = {name: _message(name, summary) for name, summary in TYPES.items()}
    refs = {name: {"$ref": f"#/components/messages/{name}"} for name in messages}

    def channel(address: str | None, text: str) -> dict[str, Any]:
        return {"address": address, "description": text, "messages": refs}

    def operation(name: str, action: str) -> dict[str, Any]:
        return {"action": action, "channel": {"$ref": f"#/channels/{name}"}}

    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {
            "title": "Camera Hub events",
            "version": version("camera-hub"),
            "description": "Each event is sent at least once, in the order of the commits. "
            "Nothing of cameras in homes leaves the hub.",
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {
            "redis": channel(
                "camera-hub:events",
                "Redis stream (settings redis.*). Fields of an entry: `event` (the CloudEvent as "
                "JSON), `type`, `area`. Read it with a consumer group; what every group has "
                "acknowledged is trimmed. Entries can come again after Redis lost them: `id`.",
            ),
            "webhook": channel(
                None,
                "POST to a receiver that an administrator added. Signed as Standard Webhooks say: "
                "`webhook-id`, `webhook-timestamp`, `webhook-signature`. Answer 2xx within 15 s; "
                "410 ends it.",
            ),
            "events": channel(
                "/api/v1/events",
                "Server-sent events for consoles: `event` is the type without prefix, the data is "
                "that of the CloudEvent with `emitted_at`; `Last-Event-ID` resumes.",
            ),
        },
        "operations": {
            "publishToRedis": operation("redis", "send"),
            "postToWebhook": operation("webhook", "send"),
            "streamToConsole": operation("events", "send"),
        },
        "components": {"messages": messages, "schemas": event_schemas()},
    }


@router.get("/asyncapi.json", include_in_schema=False)
async def asyncapi() -> Response:
    """Return the description of what changes."""
    return JSONResponse(await asyncio.to_thread(asyncapi_document))
