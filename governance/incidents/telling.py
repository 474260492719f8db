"""What the kernel asks of those who tell people: by which rule, whom, and that they are told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from governance.deliveries.types import CHANNELS, Purpose, Recipient
from governance.dispatch.policies import PolicyFacts
from governance.dispatch.snapshot import PolicySnapshot, snapshot_of
from governance.incidents.models import Incident

PERSONAL = ("push", "email")
"""Channels of an incident without a policy: those that cost nothing."""


class Dispatching(Protocol):
    """Who is told."""

    async def recipients(
        self, session: AsyncSession, incident: Incident, targets: Sequence[str], at: datetime
    ) -> list[Recipient]:
        """Return those whom `targets` mean at this moment."""
        ...

    async def run_steps(
        self, session: AsyncSession, steps: Sequence[tuple[Incident, int]], reason: str
    ) -> object:
        """Tell those of a step of each policy, whistle where it says so, log `rang`."""
        ...

    async def tell(
        self,
        session: AsyncSession,
        incident: Incident,
        targets: Sequence[str],
        *,
        channels: Sequence[str],
        round_key: str,
        purpose: Purpose,
        reason: str,
    ) -> object:
        """Tell `targets` outside of the steps, log `rang`."""
        ...


class Delivering(Protocol):
    """That they are told."""

    async def queue(
        self,
        session: AsyncSession,
        incident: Incident,
        recipients: Sequence[Recipient],
        *,
        channels: Sequence[str],
        round_key: str,
        purpose: Purpose,
        about: Mapping[str, Any] | None = None,
    ) -> int:
        """Promise to tell them."""
        ...

    async def acknowledged(self, session: AsyncSession, incident: Incident, actor_name: str) -> int:
        """Cancel what still rings."""
        ...

    async def over(self, session: AsyncSession, incident: Incident) -> int:
        """Tell everybody who was told how it ended."""
        ...


class Choosing(Protocol):
    """By which rule."""

    def choose(self, facts: PolicyFacts, at: datetime) -> PolicySnapshot:
        """Return the policy that is for an incident which opens now."""
        ...


@dataclass(frozen=True, slots=True)
class Telling:
    """All three of them."""

    policies: Choosing
    dispatcher: Dispatching
    deliveries: Delivering


def channels_of(incident: Incident) -> tuple[str, ...]:
    """Return every channel that the incident's policy uses, in the order of `CHANNELS`."""
    policy = snapshot_of(incident.policy)
    if policy is None:
        return PERSONAL
    used = {channel for step in policy["steps"] for channel in step["channels"]}
    return tuple(channel for channel in CHANNELS if channel in used)
