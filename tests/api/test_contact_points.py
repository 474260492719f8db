"""How the own account is told, over the API."""

from datetime import timedelta

from sqlalchemy import select

from access.ledger.models import LedgerEntry
from api.hub import Hub
from core.clock import ManualClock
from governance.deliveries.models import ContactPoint
from governance.deliveries.points import CODES_A_DAY
from tests.api.telling import API, deliveries, set_up_gateway
from tests.support.http import SignIn

URL = f"{API}/account/contact-points"
SMS = {"channel": "sms", "address": "138 0013 8000", "label": "Work"}


async def test_a_number_counts_once_its_code_was_given_back(hub: Hub, sign_in: SignIn) -> None:
    staff, admin = await sign_in("patrol", "demo"), await sign_in("administrator")
    assert (await staff.post(URL, json=SMS)).json()["code"] == "no-gateway"
    await set_up_gateway(admin)
    assert (await staff.get(URL)).json() == {"items": [], "channels": ["sms"]}
    added = await staff.post(URL, json=SMS)
    assert added.status_code == 201, added.text
    point = added.json()
    assert (point["address"], point["verified_at"]) == ("•••8000", None)
    (row,) = await deliveries(hub)
    assert (row.purpose, row.state, str(row.point_id)) == ("code", "waiting", point["id"])
    code = hub.governance.delivery_keys.digits(point["id"])
    assert code not in str(vars(row))

    other = await sign_in("patrol", "demo")
    assert (await other.post(f"{URL}/{point['id']}/verify", json={"code": code})).status_code == 404
    wrong = "000000" if code != "000000" else "000001"
    answer = await staff.post(f"{URL}/{point['id']}/verify", json={"code": wrong})
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong-contact-code")
    right = await staff.post(f"{URL}/{point['id']}/verify", json={"code": code})
    assert right.json()["verified_at"] is not None
    assert (await staff.delete(f"{URL}/{point['id']}")).status_code == 204
    assert (await staff.delete(f"{URL}/{point['id']}")).status_code == 404
    async with hub.database.read() as session:
        entries = (await session.scalars(select(LedgerEntry).order_by(LedgerEntry.seq))).all()
    ours = [entry for entry in entries if entry.kind.startswith("account.point")]
    assert [entry.kind for entry in ours] == ["account.point_verified", "account.point_removed"]
    assert "13800138000" not in ours[0].body


async def test_a_code_can_be_tried_five_times_and_for_half_an_hour(
    hub: Hub, sign_in: SignIn, clock: ManualClock
) -> None:
    staff = await sign_in("patrol", "demo")
    await set_up_gateway(await sign_in("administrator"))
    point = (await staff.post(URL, json=SMS)).json()["id"]
    code = hub.governance.delivery_keys.digits(point)
    wrong = "000000" if code != "000000" else "000001"
    for _ in range(5):
        await staff.post(f"{URL}/{point}/verify", json={"code": wrong})
    dead = await staff.post(f"{URL}/{point}/verify", json={"code": code})
    assert (dead.status_code, dead.json()["code"]) == (409, "code-expired")
    second = (await staff.post(URL, json={**SMS, "address": "13900139000"})).json()["id"]
    clock.advance(31 * 60)
    code = hub.governance.delivery_keys.digits(second)
    late = await staff.post(f"{URL}/{second}/verify", json={"code": code})
    assert late.json()["code"] == "code-expired"


async def test_codes_are_not_sent_without_end(
    hub: Hub, sign_in: SignIn, clock: ManualClock
) -> None:
    staff = await sign_in("patrol", "demo")
    await set_up_gateway(await sign_in("administrator"))
    for number in range(CODES_A_DAY):
        body = {**SMS, "address": f"1380013800{number}"}
        added = await staff.post(URL, json=body)
        assert added.status_code == 201, added.text
        assert (await staff.post(URL, json=body)).json()["code"] in {
            "contact-point-exists",
            "too-many-contact-points",
        }
        await staff.delete(f"{URL}/{added.json()['id']}")
    flood = await staff.post(URL, json=SMS)
    assert (flood.status_code, flood.json()["code"]) == (429, "too-many-codes")
    clock.advance(timedelta(days=1, minutes=1).total_seconds())
    async with hub.database.read() as session:
        assert (await session.scalars(select(ContactPoint))).all() == []


async def test_what_is_no_number_or_address_is_refused(sign_in: SignIn) -> None:
    staff = await sign_in("patrol", "demo")
    for channel, address in (
        ("sms", "one two three"), ("sms", "1234"), ("email", "li@"), ("voice", "+1/2?3&456"),
        ("email", "a@b.cn, c@d.cn"), ("email", "li@example.org\nBcc: x@example.org"),
    ):  # fmt: skip
        answer = await staff.post(URL, json={"channel": channel, "address": address})
        assert answer.json()["code"] == "bad-contact-address", (channel, address, answer.text)
    robot = await staff.post(URL, json={"channel": "wecom", "address": "123456"})
    assert robot.status_code == 422


async def test_browsers_are_pushed_to_until_they_are_taken_out(sign_in: SignIn) -> None:
    staff, other = await sign_in("patrol", "demo"), await sign_in("patrol", "demo")
    url = f"{API}/account/push"
    before = (await staff.get(url)).json()
    assert len(before["key"]) == 87
    assert before["items"] == []
    body = {
        "endpoint": "https://push.example.org/send/abc",
        "expirationTime": None,
        "keys": {"p256dh": "B" * 87, "auth": "a" * 22},
    }
    added = await staff.post(url, json=body, headers={"User-Agent": "Firefox on Android"})
    assert added.status_code == 201, added.text
    assert (await staff.post(url, json=body)).json()["id"] == added.json()["id"]
    (item,) = (await staff.get(url)).json()["items"]
    assert "endpoint" not in item
    gone = await other.request("DELETE", url, json={"endpoint": body["endpoint"]})
    assert gone.status_code == 204
    assert len((await staff.get(url)).json()["items"]) == 1
    await staff.request("DELETE", url, json={"endpoint": body["endpoint"]})
    assert (await staff.get(url)).json()["items"] == []
    private = {**body, "endpoint": "http://127.0.0.1:8480/api/v1/accounts"}
    assert (await staff.post(url, json=private)).json()["code"] == "bad-push-endpoint"
