"""A sender that is killed while its provider is asked, for real."""

import subprocess
import sys
from dataclasses import replace

import pytest

from core.clock import SystemClock
from core.outbound import Outbound
from core.secrets import SecretBox
from governance.deliveries.upkeep import Gateways
from governance.service import build_governance
from tests.governance.deliveries.conftest import PHONE, World
from tests.support.receiver import Receiver
from tests.support.waiting import until


@pytest.mark.faults
async def test_a_sender_killed_while_the_provider_is_asked_leaves_a_row_that_may_have_been_sent(
    world: World, receiver: Receiver, store_url: str
) -> None:
    parts = replace(world.parts, secrets=SecretBox.from_file(world.parts.settings.secret_key_file))
    gateways = Gateways(
        parts.clock,
        secrets=parts.secrets,
        ledger=parts.ledger,
        outbound=Outbound(allow_private=True, timeout_s=1),
    )
    world = World(parts, build_governance(parts), gateways)
    receiver.gate.clear()
    await world.gateway(receiver.url)
    await world.tell(await world.incident(), [await world.account(sms=PHONE)])
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.governance.deliveries.mortal_sender", store_url,
         str(parts.settings.data_dir)],
    )  # fmt: skip
    try:
        await until(lambda: receiver.received, timeout=120)
    finally:
        process.kill()
        process.wait()
    assert await world.states() == ["sending"]

    # As long as the lease lasts nobody touches the row; then it is neither sent nor not sent.
    world.clock.jump((SystemClock().now() - world.clock.now()).total_seconds())
    assert await world.leases().lost() == []
    world.clock.advance(world.leases().seconds + 61)
    receiver.gate.set()
    async with world.sending():
        first, second = await world.until_states("unknown", "waiting")
        assert first.code == "sender-lost"
        world.clock.advance(10)
        await world.until_states("unknown", "sent")
    keys = {request.headers["idempotency-key"] for request in receiver.received}
    assert len(receiver.received) == 2
    assert keys == {str(first.provider_key)} == {str(second.provider_key)}
