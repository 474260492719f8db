"""People, gateways and incidents on a fresh store; real providers on loopback."""

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from access.accounts.models import Account
from core.clock import ManualClock
from core.database import Database
from core.ids import new_id
from core.outbound import Outbound
from core.settings_loop import DeliverySettings
from governance.deliveries.leases import Leases
from governance.deliveries.models import ContactPoint, Delivery, Gateway
from governance.deliveries.schemas import GatewayCreate
from governance.deliveries.sender import Sender
from governance.deliveries.types import Purpose, Recipient
from governance.deliveries.upkeep import Gateways
from governance.deliveries.waking import wake_after_commit
from governance.incidents.models import Incident
from governance.service import Governance, build_governance
from tests.governance.conftest import Parts
from tests.governance.support import opened, rows
from tests.support.waiting import until

SECRET = "whsec_" + base64.b64encode(b"a secret of a gateway, 24b").decode()
PHONE = "+8613800138000"


@dataclass
class World:
    """What a test of deliveries works with."""

    parts: Parts
    kernel: Governance
    gateways: Gateways

    @property
    def database(self) -> Database:
        return self.parts.database

    @property
    def clock(self) -> ManualClock:
        return self.parts.clock

    def again(self) -> "World":
        """Return the same world as another process has it."""
        return replace(self, kernel=build_governance(self.parts))

    def leases(self) -> Leases:
        return Leases(self.database, self.clock, self.parts.settings.deliveries)

    async def account(
        self, name: str = "Li Na", *, locale: str = "zh-CN", **points: str
    ) -> Recipient:
        """Make an account with verified contact points, by channel."""
        identity, now = new_id(), self.clock.now()
        async with self.database.transaction() as session:
            session.add(
                Account(
                    id=identity,
                    username=f"u{identity.hex}",
                    display_name=name,
                    password_hash="-",
                    locale=locale,
                    active=True,
                    created_at=now,
                    updated_at=now,
                    password_changed_at=now,
                )
            )
            await session.flush()
            session.add_all(
                ContactPoint(
                    id=new_id(),
                    account_id=identity,
                    channel=channel,
                    address_sealed=self.parts.secrets.seal(address),
                    label="",
                    tries=0,
                    verified_at=now,
                    created_at=now,
                )
                for channel, address in points.items()
            )
        return Recipient("account", identity, name, locale)

    async def gateway(
        self, url: str, channel: str = "sms", *, name: str = "Provider", **more: Any
    ) -> Gateway:
        """Set up a gateway."""
        wanted = GatewayCreate(
            channel=channel,  # type: ignore[arg-type]
            name=name,
            url=SecretStr(url),
            **{"kind": "http", "secret": SecretStr(SECRET), **more},
        )
        async with self.database.transaction() as session:
            return (await self.gateways.create(session, None, wanted))[0]

    async def incident(self, **data: Any) -> Incident:
        """Open an incident."""
        return await opened(self.kernel, **data)

    async def tell(
        self,
        incident: Incident,
        recipients: Sequence[Recipient],
        *,
        channels: Sequence[str] = ("sms",),
        purpose: Purpose = "alert",
        round_key: str = "ring:0:0",
        about: dict[str, Any] | None = None,
    ) -> int:
        """Queue, and commit."""
        async with self.database.transaction() as session:
            locked = await self.kernel.incidents.locked(session, incident.id)
            return await self.kernel.deliveries.queue(
                session,
                locked,
                recipients,
                channels=channels,
                round_key=round_key,
                purpose=purpose,
                about=about,
            )

    async def rows(self) -> list[Delivery]:
        """Return all deliveries in the order they were made."""
        return await rows(self.database, Delivery)

    async def states(self) -> list[str]:
        return [row.state for row in await self.rows()]

    async def wake(self) -> bool:
        """Let the loop look: the clock stands still while a test waits, and so does its poll."""
        async with self.database.transaction() as session:
            wake_after_commit(session)
        return True

    async def until_states(self, *wanted: str) -> list[Delivery]:
        """Wait until the deliveries have these states, in order, and return them."""

        async def there() -> bool:
            await self.wake()
            return await self.states() == list(wanted)

        try:
            await until(there, timeout=20, every=0.1)
        except TimeoutError:
            found = [(r.state, r.code, r.detail) for r in await self.rows()]
            raise AssertionError(f"{wanted} expected, found {found}") from None
        return await self.rows()

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[Sender]:
        """Run the loop that sends while the block runs."""
        sender = self.kernel.sender
        task = asyncio.create_task(sender.run())
        try:
            yield sender
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def acknowledge(self, incident: Incident, name: str = "Wang") -> int:
        """Do what an acknowledgement does to deliveries."""
        async with self.database.transaction() as session:
            locked = await self.kernel.incidents.locked(session, incident.id)
            locked.acknowledged_at = self.clock.now()
            return await self.kernel.deliveries.acknowledged(session, locked, name)

    async def end(self, incident: Incident, resolution: str = "handled") -> int:
        """Close an incident and tell of it."""
        async with self.database.transaction() as session:
            locked = await self.kernel.incidents.locked(session, incident.id)
            locked.is_open, locked.state, locked.resolution = False, "closed", resolution
            locked.closed_at = self.clock.now()
            return await self.kernel.deliveries.over(session, locked)

    async def change(self, table: type[Any], identity: UUID, **values: Any) -> None:
        """Set columns of one row."""
        async with self.database.transaction() as session:
            row = await session.get(table, identity)
            assert row is not None
            for name, value in values.items():
                setattr(row, name, value)


@pytest.fixture
def timeout_s() -> float:
    """How long a provider may take; a test about that says less."""
    return 20.0


@pytest.fixture
async def world(parts: Parts, timeout_s: float) -> AsyncIterator[World]:
    """A world whose gateways may lie on this machine."""
    told = DeliverySettings(allow_private=True, timeout_s=timeout_s, attempts=3)
    parts.settings = parts.settings.model_copy(update={"deliveries": told})
    outbound = Outbound(allow_private=True, timeout_s=timeout_s)
    gateways = Gateways(parts.clock, secrets=parts.secrets, ledger=parts.ledger, outbound=outbound)
    yield World(parts, build_governance(parts), gateways)
    await outbound.close()
