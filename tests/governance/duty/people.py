"""Accounts with roles, and rotas with slots, for the tests of duty and dispatch."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from access.accounts.models import Account
from access.accounts.service import Accounts
from access.policy.types import Actor, Role, RoleBinding
from governance.duty.models import Rota
from governance.duty.schemas import Post, SlotIn
from governance.service import Governance
from tests.governance.conftest import Parts
from tests.support.http import password_hash

EVERY_DAY = range(7)


async def account(parts: Parts, name: str, *roles: str, active: bool = True) -> Account:
    """Make an account; a role is written `patrol@demo/garden`."""
    bindings = []
    for text in roles:
        role, _, area = text.partition("@")
        bindings.append(RoleBinding(Role(role), area))
    accounts = Accounts(parts.clock, parts.ledger)
    async with parts.database.transaction() as session:
        row = await accounts.create(
            session,
            username=name,
            display_name=name.title(),
            password=password_hash(),
            roles=bindings,
        )
        row.active = active
    return row


async def give_roles(parts: Parts, row: Account, *roles: str) -> None:
    """Give an account these roles instead of those that it has."""
    bindings = [RoleBinding(Role(text.partition("@")[0]), text.partition("@")[2]) for text in roles]
    async with parts.database.transaction() as session:
        await Accounts(parts.clock, parts.ledger).update(session, row, roles=bindings)


def actor(row: Account) -> Actor:
    """Return an account as somebody who acts."""
    return Actor(kind="account", id=row.id, name=row.username, display_name=row.display_name)


Slots = Iterable[tuple[Iterable[int], str, str, Account]]


async def rota(kernel: Governance, area: str, post: Post, slots: Slots = ()) -> Rota:
    """Make a rota. A slot is (weekdays, starts, ends, account)."""
    async with kernel.database.transaction() as session:
        row = await kernel.rotas.add(session, None, area=area, post=post, name=f"{post} {area}")
    await set_slots(kernel, row, slots)
    return row


async def set_slots(kernel: Governance, row: Rota, slots: Slots) -> None:
    """Write the whole week of a rota."""
    body = [
        SlotIn(weekday=day, starts=starts, ends=ends, account_id=who.id)
        for days, starts, ends, who in slots
        for day in days
    ]
    if body:
        async with kernel.database.transaction() as session:
            await kernel.rotas.set_slots(session, None, row, body)


async def on_duty(kernel: Governance, area: str, at: datetime, post: Role) -> list[str]:
    """Return the names of who is on duty."""
    from governance.duty.service import on_duty as asked

    async with kernel.database.read() as session:
        found = await asked(session, area, post, at, kernel.rotas.zone)
    return [row.display_name for row in found]


def ids(rows: Iterable[Account]) -> list[UUID]:
    """Return the ids of accounts."""
    return [row.id for row in rows]
