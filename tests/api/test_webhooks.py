"""Webhooks through the HTTP interface."""

import pytest

from core.settings import Settings
from core.settings_loop import DeliverySettings
from tests.support.http import SignIn
from tests.support.receiver import Receiver

pytestmark = pytest.mark.parametrize("hub_url", ["sqlite"], indirect=True)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"deliveries": DeliverySettings(allow_private=True)})


async def test_a_webhook_is_made_tested_renewed_and_removed(
    sign_in: SignIn, receiver: Receiver
) -> None:
    admin = await sign_in("administrator")
    made = await admin.post("/api/v1/webhooks", json={"name": "Town hall", "url": receiver.url})
    assert made.status_code == 201
    secret, path = made.json()["secret"], f"/api/v1/webhooks/{made.json()['id']}"
    assert secret.startswith("whsec_")
    listed = await admin.get("/api/v1/webhooks")
    assert secret not in listed.text
    assert listed.json()[0]["behind"] == 0
    tested = (await admin.post(f"{path}/test")).json()
    assert tested == {"ok": True, "status": 200, "detail": "so it is"}
    assert b"org.camerahub.test" in receiver.received[0].body
    renewed = (await admin.post(f"{path}/secret")).json()["secret"]
    assert renewed != secret
    paused = await admin.patch(path, json={"active": False, "types": ["incident.opened"]})
    assert paused.json()["active"] is False
    assert (await admin.delete(path)).status_code == 204
    assert (await admin.get("/api/v1/webhooks")).json() == []
    assert (await admin.post(f"{path}/test")).status_code == 404


async def test_what_cannot_be_told_says_why(sign_in: SignIn) -> None:
    admin = await sign_in("administrator")
    wrong = await admin.post(
        "/api/v1/webhooks", json={"name": "x", "url": "https://example.org", "types": ["face.seen"]}
    )
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid-event-type")
    assert "incident.opened" in wrong.json()["remedy"]
    made = await admin.post("/api/v1/webhooks", json={"name": "x", "url": "http://127.0.0.1:9/"})
    tested = (await admin.post(f"/api/v1/webhooks/{made.json()['id']}/test")).json()
    assert (tested["ok"], tested["status"]) == (False, None)
    assert tested["detail"]
