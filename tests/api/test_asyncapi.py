"""The description of the events: what really happens conforms to it."""

import json
from typing import Any

import jsonschema_rs
import pytest

from api.asyncapi import asyncapi_document
from api.hub import Hub
from governance.fanout.cloudevents import TYPES, cloud_event
from governance.outbox import repository
from tests.api.test_openapi import references
from tests.support.http import Client, ServiceClient, SignIn

DOCUMENT = json.loads(json.dumps(asyncapi_document()))


def conforms(event: dict[str, Any]) -> None:
    name = event["type"].removeprefix("org.camerahub.")
    schema = {**DOCUMENT["components"]["messages"][name]["payload"], **DOCUMENT}
    jsonschema_rs.validate(schema, json.loads(json.dumps(event)))


def test_the_description_is_whole() -> None:
    assert set(DOCUMENT["components"]["messages"]) == set(TYPES)
    for reference in references(DOCUMENT):
        place: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


async def test_it_is_served(client: Client) -> None:
    assert (await client.get("/api/v1/asyncapi.json")).json() == DOCUMENT


@pytest.mark.parametrize("hub_url", ["sqlite"], indirect=True)
async def test_what_happens_conforms(
    hub: Hub, service_client: ServiceClient, sign_in: SignIn
) -> None:
    service = await service_client(["signal.post"], "town")
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "/sensor",
        "type": "org.example.smoke",
        "data": {
            "category": "Fire",
            "urgency": "Immediate",
            "severity": "Severe",
            "certainty": "Likely",
            "headline": "Smoke in the cellar",
            "area": "town",
        },
    }
    incident_id = (await service.post("/api/v1/signals", json=event)).json()["incident_id"]
    duty = await sign_in("duty_staff", "town")
    path = f"/api/v1/incidents/{incident_id}"
    version = (await duty.get(path)).json()["version"]
    await duty.post(f"{path}/acknowledge", json={"version": version})
    async with hub.database.read() as session:
        rows = await repository.read_after(session, 0, 100)
    assert {row.type for row in rows} >= {"incident.opened", "incident.updated"}
    for row in rows:
        conforms(cloud_event(row))
    wrong = {**cloud_event(rows[0]), "data": {"headline": 1}}
    with pytest.raises(jsonschema_rs.ValidationError):
        conforms(wrong)
