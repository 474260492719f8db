"""Gateways over the API: what is shown, what is refused, and that secrets stay where they are."""

from uuid import UUID

import pytest
from sqlalchemy import select

from access.ledger.models import LedgerEntry
from api.hub import Hub
from core.settings import Settings
from governance.deliveries.models import Gateway
from tests.api.telling import API, SECRET, set_up_gateway
from tests.support.http import SignIn
from tests.support.receiver import Receiver

URL = f"{API}/gateways"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Gateways may lie on this machine."""
    told = settings.deliveries.model_copy(update={"allow_private": True, "timeout_s": 5.0})
    return settings.model_copy(update={"deliveries": told})


async def test_a_gateway_is_kept_without_its_secrets_in_sight(hub: Hub, sign_in: SignIn) -> None:
    admin, auditor = await sign_in("administrator"), await sign_in("auditor")
    url = "mailtos://user:pass-word@smtp.example.org:465?from=hub@example.org&mode=ssl"
    made = await set_up_gateway(admin, "email", kind="apprise", url=url, secret=None, name="Mail")
    assert (made["place"], made["secret"], made["active"]) == ("mailtos://", None, True)
    sms = await set_up_gateway(admin, secret=None, area="demo/riverside")
    assert sms["secret"].startswith("whsec_")
    listed = await auditor.get(URL)
    assert [item["name"] for item in listed.json()] == ["Mail", "Provider of sms"]
    assert listed.json()[1]["place"] == "sms.example.org"
    for secret in ("pass-word", sms["secret"], "/send"):
        assert secret not in listed.text
    assert (await auditor.delete(f"{URL}/{made['id']}")).status_code == 403
    async with hub.database.read() as session:
        rows = (await session.scalars(select(Gateway))).all()
        ledger = (await session.scalars(select(LedgerEntry.body))).all()
    assert "pass-word" not in str([vars(row) for row in rows])
    assert "pass-word" not in str(ledger)


async def test_a_gateway_is_changed_paused_and_removed(hub: Hub, sign_in: SignIn) -> None:
    admin = await sign_in("administrator")
    made = await set_up_gateway(admin)
    url = f"{URL}/{made['id']}"
    changed = await admin.patch(url, json={"name": "Other", "active": False})
    assert (changed.json()["name"], changed.json()["active"]) == ("Other", False)
    await set_up_gateway(admin, name="Third")
    taken = await admin.patch(url, json={"name": "Third"})
    assert (taken.status_code, taken.json()["code"]) == (409, "gateway-name-taken")
    assert (await admin.delete(url)).status_code == 204
    assert (await admin.patch(url, json={})).status_code == 404
    await set_up_gateway(admin, name="Other")
    async with hub.database.read() as session:
        row = await session.get(Gateway, UUID(made["id"]))
        kinds = (await session.scalars(select(LedgerEntry.kind).order_by(LedgerEntry.seq))).all()
    assert row is not None
    assert row.url_sealed == row.secret_sealed == ""
    ours = [kind for kind in kinds if kind.startswith("gateway.")]
    assert ours == [
        "gateway.created", "gateway.changed", "gateway.created", "gateway.removed",
        "gateway.created",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"url": "ftp://example.org/"}, "invalid-address"),
        ({"url": "https://user:pass@example.org/"}, "invalid-address"),
        ({"url": "file:///etc/passwd"}, "invalid-address"),
        ({"secret": "whsec_***"}, "gateway-secret"),
        ({"room": "Duty room"}, "gateway-room"),
        ({"channel": "wecom", "room": "Duty room"}, "gateway-room"),
        ({"channel": "wecom", "kind": "apprise", "url": "wecombot://abc"}, "gateway-room"),
        ({"kind": "apprise", "url": "json://example.org/"}, "gateway-address"),
        ({"kind": "apprise", "channel": "voice", "url": "exec://id"}, "gateway-address"),
    ],
)
async def test_what_cannot_be_a_gateway_is_refused(
    sign_in: SignIn, wrong: dict[str, str], code: str
) -> None:
    admin = await sign_in("administrator")
    body = {
        "channel": "sms", "name": "P", "kind": "http", "url": "https://sms.example.org/",
        "secret": SECRET, **wrong,
    }  # fmt: skip
    answer = await admin.post(URL, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    for secret in ("pass@", "***", "passwd"):
        assert secret not in answer.text


async def test_an_administrator_of_one_area_keeps_the_gateways_of_it(sign_in: SignIn) -> None:
    whole, local = await sign_in("administrator"), await sign_in("administrator", "demo/hills")
    everywhere = await set_up_gateway(whole, area="")
    await set_up_gateway(local, name="Hills", area="demo/hills/oak")
    assert [item["name"] for item in (await local.get(URL)).json()] == ["Hills"]
    for call in (
        local.patch(f"{URL}/{everywhere['id']}", json={"active": False}),
        local.delete(f"{URL}/{everywhere['id']}"),
    ):
        assert (await call).status_code in {403, 404}
    outside = {"channel": "sms", "name": "X", "kind": "http", "url": "https://x.example/"}
    assert (await local.post(URL, json={**outside, "area": "demo"})).status_code == 403


async def test_a_test_message_is_sent_now_and_remembered(
    sign_in: SignIn, receiver: Receiver
) -> None:
    admin = await sign_in("administrator")
    made = await set_up_gateway(admin, url=receiver.url)
    url = f"{URL}/{made['id']}/test"
    assert (await admin.post(url, json={})).json()["code"] == "test-recipient-needed"
    good = await admin.post(url, json={"to": "13800138000"})
    assert good.json() == {"state": "sent", "code": "", "detail": ""}
    receiver.answers = [403]
    bad = await admin.post(url, json={"to": "13800138000"})
    assert (bad.json()["state"], bad.json()["code"]) == ("failed", "http-403")
    (item,) = (await admin.get(URL)).json()
    assert item["last_ok_at"] is not None
    assert item["last_error"].startswith("http-403")
    assert len(receiver.received) == 2
