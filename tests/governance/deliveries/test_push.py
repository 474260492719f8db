"""Web Push against a real push service on loopback, decrypted as a browser does."""

import base64
import json
import os
from typing import Any

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey

from core.errors import InvalidInputError
from core.outbound import Outbound
from governance.deliveries.models import PushSubscription
from governance.deliveries.points import MAX_SUBSCRIPTIONS, OwnWays
from governance.deliveries.schemas import PushCreate, PushKeys
from governance.deliveries.types import Recipient
from tests.governance.deliveries.conftest import World
from tests.governance.support import rows
from tests.support.receiver import Receiver


@pytest.fixture
def store_url(sqlite_url: str) -> str:
    return sqlite_url


class Browser:
    """What a browser keeps of its subscription."""

    def __init__(self, endpoint: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.auth = os.urandom(16)
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.subscription = PushCreate(
            endpoint=endpoint, keys=PushKeys(p256dh=_text(point), auth=_text(self.auth))
        )

    def read(self, body: bytes) -> dict[str, Any]:
        """Decrypt (RFC 8291)."""
        plain = http_ece.decrypt(
            body, private_key=self.key, auth_secret=self.auth, version="aes128gcm"
        )
        found = json.loads(plain)
        assert isinstance(found, dict)
        return found


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def own_ways(world: World) -> OwnWays:
    return OwnWays(
        world.clock,
        secrets=world.parts.secrets,
        ledger=world.parts.ledger,
        keys=world.kernel.delivery_keys,
        deliveries=world.kernel.deliveries,
        outbound=Outbound(allow_private=True, timeout_s=1),
    )


async def subscribe(world: World, li: Recipient, browser: Browser) -> None:
    async with world.database.transaction() as session:
        await own_ways(world).subscribe(
            session, browser.subscription, account_id=li.id, user_agent="Firefox"
        )


async def test_a_push_is_encrypted_signed_urgent_and_shows_no_picture(
    world: World, receiver: Receiver
) -> None:
    receiver.answers = [201]
    browser, li = Browser(receiver.url), await world.account()
    await subscribe(world, li, browser)
    incident = await world.incident()
    async with world.sending():
        await world.tell(incident, [li], channels=("push",))
        (row,) = await world.until_states("sent")
    (request,) = receiver.received
    assert request.headers["content-encoding"] == "aes128gcm"
    assert request.headers["urgency"] == "high"
    assert int(request.headers["ttl"]) > 0
    message = browser.read(request.body)
    assert message["title"].startswith("有人闯入，jade-garden·Pump house")
    assert message["body"] == f"08:00 {incident.number}"
    assert message["url"].startswith("/a/")
    assert (message["tag"], message["purpose"]) == (str(incident.id), "alert")
    assert set(message) == {"title", "body", "url", "tag", "purpose", "incident_id", "at"}

    scheme, _, rest = request.headers["authorization"].partition(" ")
    fields = dict(part.strip().split("=", 1) for part in rest.split(","))
    assert scheme == "vapid"
    assert fields["k"] == world.kernel.delivery_keys.push_key
    point = base64.urlsafe_b64decode(fields["k"] + "=")
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point).public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    claims = jwt.decode(fields["t"], ECKey.import_key(public), algorithms=["ES256"]).claims
    assert claims["aud"] == receiver.url.removesuffix("/hook")
    assert claims["exp"] - world.clock.now().timestamp() <= 24 * 3600
    assert row.lane == "push:127.0.0.1"


@pytest.mark.parametrize("status", [404, 410])
async def test_a_subscription_that_is_gone_is_removed(
    world: World, receiver: Receiver, status: int
) -> None:
    receiver.answers = [status]
    li = await world.account()
    await subscribe(world, li, Browser(receiver.url))
    async with world.sending():
        await world.tell(await world.incident(), [li], channels=("push",))
        (row,) = await world.until_states("given_up")
    assert row.code == "subscription-gone"
    assert await rows(world.database, PushSubscription) == []


async def test_a_busy_push_service_is_asked_again(world: World, receiver: Receiver) -> None:
    receiver.answers = [429, 201]
    li = await world.account()
    await subscribe(world, li, Browser(receiver.url))
    async with world.sending():
        await world.tell(await world.incident(), [li], channels=("push",))
        await world.until_states("failed", "waiting")
        world.clock.advance(10)
        await world.until_states("failed", "sent")


async def test_a_browser_belongs_to_whoever_subscribed_it_last(world: World) -> None:
    browser, li, wang = (
        Browser("https://push.example/1"),
        *[await world.account(name) for name in ("Li", "Wang")],
    )
    await subscribe(world, li, browser)
    await subscribe(world, wang, browser)
    (row,) = await rows(world.database, PushSubscription)
    assert row.account_id == wang.id
    assert "push.example/1" not in row.subscription_sealed
    for number in range(MAX_SUBSCRIPTIONS + 2):
        await subscribe(world, li, Browser(f"https://push.example/of-li/{number}"))
    mine = [r for r in await rows(world.database, PushSubscription) if r.account_id == li.id]
    assert len(mine) == MAX_SUBSCRIPTIONS


@pytest.mark.parametrize(
    "endpoint", ["ftp://push.example/1", "https://u:p@push.example/", "x" * 20]
)
async def test_what_is_no_push_service_is_refused(world: World, endpoint: str) -> None:
    li = await world.account()
    with pytest.raises(InvalidInputError) as refused:
        await subscribe(world, li, Browser(endpoint))
    assert refused.value.code == "bad-push-endpoint"


async def test_the_hubs_keys_are_made_once_and_closed_to_others(world: World) -> None:
    keys = world.kernel.delivery_keys
    again = world.again().kernel.delivery_keys
    assert keys.push_key == again.push_key
    assert keys.token("answer", "k") == again.token("answer", "k") != keys.token("contact", "k")
    folder = world.parts.settings.deliveries_dir
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {"vapid.pem": 0o600, "answers.key": 0o600}
