"""Accounts: listed, made, changed, switched off; for administrators."""

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.accounts.names import normalise_username
from access.accounts.roles import bindings_of
from access.accounts.schemas import AccountCreate, AccountOut, AccountUpdate, RoleInput
from access.accounts.service import resources_of
from access.policy.areas import normalise_area
from access.policy.types import Actor, Resource, RoleBinding
from api.door import permit, require
from api.hub import Hub, HubDep
from api.pages import Page, Paging
from core.errors import ForbiddenError
from core.logging import get_logger
from governance.areas.service import check as check_area

router = APIRouter(tags=["accounts"])
_log = get_logger("api.accounts")


@router.get("/accounts")
async def list_accounts(
    page: Paging, hub: HubDep, actor: Annotated[Actor, permit("account.list")]
) -> Page[AccountOut]:
    """List the accounts that hold roles in the own areas only, by username."""
    after = page.after(str)
    async with hub.database.read() as session:
        rows = await hub.accounts.page(
            session,
            areas=hub.policy.areas(actor, "account.list"),
            after=after[0] if after else None,
            limit=page.fetch,
        )
        factors = await hub.factors.counted(session, (row.id for row in rows))
        items = [_shown(row, factors) for row in rows]
        return page.page(rows, lambda row: (row.username,), items)


@router.post("/accounts", status_code=201)
async def create_account(
    body: AccountCreate, hub: HubDep, actor: Annotated[Actor, permit("account.create")]
) -> AccountOut:
    """Make an account whose roles all lie in the own areas."""
    roles = _bindings(body.roles)
    for area in sorted({binding.area for binding in roles}) or [""]:
        require(hub, actor, "account.create", Resource("account", area=area))
    _require_grant(hub, actor, roles)
    password = await hub.accounts.hash_password(
        body.password.get_secret_value(), username=body.username
    )
    async with hub.database.transaction() as session:
        await _check_areas(session, roles)
        account = await hub.accounts.create(
            session,
            username=body.username,
            display_name=body.display_name,
            password=password,
            roles=roles,
            locale=body.locale,
            by=actor,
            password_set_by=actor.display_name,
            must_change_password=True,
        )
        answer = await _out(hub, session, account)
    _log.info("account_created", account=str(answer.id), by=str(actor.id))
    return answer


@router.patch("/accounts/{account_id}")
async def update_account(
    account_id: UUID,
    body: AccountUpdate,
    hub: HubDep,
    actor: Annotated[Actor, permit("account.update")],
) -> AccountOut:
    """Change an account. A new password or switching it off ends its sessions.

    Roles and the switch of the own account are changed by another administrator, and the own
    password with the present one. The holder changes a password set here at the next sign-in.
    """
    async with hub.database.read() as session:
        before = await hub.accounts.get(session, account_id)
        _require_all(hub, actor, "account.update", before)
        username = before.username
    password = None
    if body.password is not None:
        if account_id == actor.id:
            raise ForbiddenError(
                "The own password is not changed here.",
                remedy="Change it on the page of your account, which asks for the present one.",
                code="own-password",
            )
        password = await hub.accounts.hash_password(
            body.password.get_secret_value(), username=normalise_username(username)
        )
    async with hub.database.transaction() as session:
        account = await hub.accounts.get_for_change(session, account_id)
        _require_all(hub, actor, "account.update", account)
        roles = None if body.roles is None else _bindings(body.roles)
        if roles is not None or body.active is not None:
            _require_all(hub, actor, "account.grant", account)
            _require_grant(hub, actor, roles or [])
        if roles is not None:
            held = set(bindings_of(account))
            await _check_areas(session, [role for role in roles if role not in held])
        if password is not None or body.active is False:
            await hub.factors.challenges.forget(session, account_id)
            await hub.sessions.end_all(session, account_id, "account changed", by=actor)
        account = await hub.accounts.update(
            session,
            account,
            display_name=body.display_name,
            password=password,
            roles=roles,
            active=body.active,
            locale=body.locale,
            by=actor,
            password_set_by=actor.display_name,
        )
        answer = await _out(hub, session, account)
    changed = sorted(body.model_fields_set)
    _log.info("account_changed", account=str(account_id), by=str(actor.id), fields=changed)
    return answer


@router.delete("/accounts/{account_id}/sessions", status_code=204)
async def end_sessions_of_account(
    account_id: UUID, hub: HubDep, actor: Annotated[Actor, permit("account.reset")]
) -> None:
    """Sign an account out everywhere; its open streams end within two seconds."""
    async with hub.database.transaction() as session:
        account = await hub.accounts.get_for_change(session, account_id)
        _require_all(hub, actor, "account.reset", account)
        await hub.sessions.end_all(session, account_id, "ended by an administrator", by=actor)


@router.delete("/accounts/{account_id}/second-factors", status_code=204)
async def reset_second_factors(
    account_id: UUID, hub: HubDep, actor: Annotated[Actor, permit("account.reset")]
) -> None:
    """Remove the second factors of somebody who has lost them, and sign that account out.

    Never the own ones: whoever has taken over an administrator's session would get rid of them.
    """
    async with hub.database.transaction() as session:
        account = await hub.accounts.get_for_change(session, account_id)
        _require_all(hub, actor, "account.reset", account)
        # The factors first: a sign-in locks its passkey before the ledger, which ending locks.
        await hub.factors.reset(session, account, actor)
        await hub.sessions.end_all(session, account_id, "second factors reset", by=actor)


async def _out(hub: Hub, session: AsyncSession, account: Account) -> AccountOut:
    found = await hub.factors.counted(session, (account.id,))
    return _shown(account, found)


def _shown(account: Account, factors: Mapping[UUID, tuple[bool, int]]) -> AccountOut:
    totp, passkeys = factors[account.id]
    return AccountOut.of(account, totp=totp, passkeys=passkeys)


def _bindings(roles: list[RoleInput]) -> list[RoleBinding]:
    return [RoleBinding(item.role, normalise_area(item.area)) for item in roles]


async def _check_areas(session: AsyncSession, roles: list[RoleBinding]) -> None:
    """Refuse a role in an area that is not in the tree; one that is held already stays."""
    for area in sorted({role.area for role in roles}):
        await check_area(session, area)


def _require_all(hub: Hub, actor: Actor, action: str, account: Account) -> None:
    for resource in resources_of(account):
        require(hub, actor, action, resource)


def _require_grant(hub: Hub, actor: Actor, roles: list[RoleBinding]) -> None:
    """Nobody gives a role in an area where they could not change accounts themselves."""
    for binding in roles:
        require(hub, actor, "account.grant", Resource("account", area=binding.area))
