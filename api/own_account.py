"""The own account: password, second factors, identity. For everybody who is signed in.

What changes how one signs in asks for the present password again: somebody at an unattended
screen, or with a stolen session, gains nothing that lasts.
"""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.accounts.schemas import RoleOut
from access.factors.schemas import (
    CodeProof,
    GoTo,
    OidcState,
    OwnAccountOut,
    PasskeyAdd,
    PasskeyAdded,
    PasskeyOut,
    PasskeyRename,
    PasswordChange,
    PasswordProof,
    PasswordSetByOther,
    RecoveryCodesOut,
    TotpBegun,
)
from access.policy.types import Actor, Role
from access.sessions.schemas import PasskeyOptionsOut, SessionOut
from api.door import own_account_first, permit
from api.hub import Hub, HubDep
from api.oidc import callback_url, set_ticket
from api.opening import address_of, open_session, session_out, set_cookie
from api.own_site import relying_party
from core.errors import ForbiddenError, InvalidInputError

router = APIRouter(tags=["own account"])

Self = Annotated[Actor, permit("account.self")]


@router.get("/accounts/me")
async def own_account(hub: HubDep, actor: Self) -> OwnAccountOut:
    """Return the own account, how it signs in, and who else set its password."""
    async with hub.database.read() as session:
        account = await hub.accounts.get(session, _id(actor))
        found = await hub.factors.of(session, account.id)
        linked = await hub.oidc.linked(session, account.id)
    other = None
    if account.password_set_by_other_at is not None:
        other = PasswordSetByOther(
            at=account.password_set_by_other_at, by=account.password_set_by or ""
        )
    return OwnAccountOut(
        id=account.id,
        username=account.username,
        display_name=account.display_name,
        roles=[RoleOut(role=Role(row.role), area=row.area) for row in account.roles],
        locale=account.locale,
        created_at=account.created_at,
        password_changed_at=account.password_changed_at,
        totp=found.totp,
        passkeys=[PasskeyOut.of(row) for row in found.passkeys],
        recovery_codes_left=found.recovery_codes_left,
        must_change_password=account.must_change_password,
        password_set_by_other=other,
        oidc=OidcState(enabled=hub.oidc.enabled, name=hub.oidc.name, linked=linked),
    )


@router.put("/accounts/me/password")
async def change_own_password(
    body: PasswordChange, request: Request, response: Response, hub: HubDep, actor: Self
) -> SessionOut:
    """Change the own password. Ends all sessions; the answer sets the cookie of a new one."""
    current, new = body.current.get_secret_value(), body.new.get_secret_value()
    await _prove(hub, actor, request, current)
    if new == current:
        raise InvalidInputError(
            "The new password is the present one.",
            remedy="Choose another one.",
            code="same-password",
        )
    hashed = await hub.accounts.hash_password(new, username=actor.name)
    async with hub.database.transaction() as session:
        account = await hub.accounts.get_for_change(session, _id(actor))
        await hub.factors.challenges.forget(session, account.id)
        await hub.sessions.end_all(session, account.id, "password changed", by=actor)
        await hub.accounts.change_own_password(session, account, hashed)
        opened = await open_session(hub, session, account, request, "password")
        answer = await session_out(hub, session, account, opened.token, opened.expires_at)
    set_cookie(hub, response, opened.token)
    return answer


@router.post("/accounts/me/totp")
async def begin_totp(body: PasswordProof, request: Request, hub: HubDep, actor: Self) -> TotpBegun:
    """Make a secret for an authenticator app; it counts once a code of it is confirmed."""
    await _prove(hub, actor, request, body.password.get_secret_value())
    async with hub.database.transaction() as session:
        account = await _holder(hub, session, actor)
        secret, uri, qr_svg = await hub.factors.begin_totp(session, account)
    return TotpBegun(secret=secret, uri=uri, qr_svg=qr_svg)


@router.post("/accounts/me/totp/confirm")
async def confirm_totp(body: CodeProof, hub: HubDep, actor: Self) -> RecoveryCodesOut:
    """Let the app count, shown by a code of it; return new recovery codes."""
    async with hub.database.transaction() as session:
        account = await _holder(hub, session, actor)
        codes = await hub.factors.confirm_totp(session, account, body.code.get_secret_value())
    return RecoveryCodesOut(recovery_codes=codes)


@router.delete("/accounts/me/totp", status_code=204)
async def remove_totp(body: PasswordProof, request: Request, hub: HubDep, actor: Self) -> None:
    """Remove the authenticator app."""
    await _prove(hub, actor, request, body.password.get_secret_value())
    async with hub.database.transaction() as session:
        account = await _holder(hub, session, actor)
        await hub.factors.remove_totp(session, account)


@router.post("/accounts/me/recovery-codes")
async def renew_recovery_codes(
    body: PasswordProof, request: Request, hub: HubDep, actor: Self
) -> RecoveryCodesOut:
    """Make new recovery codes; the earlier ones count no more."""
    await _prove(hub, actor, request, body.password.get_secret_value())
    async with hub.database.transaction() as session:
        account = await _holder(hub, session, actor)
        return RecoveryCodesOut(
            recovery_codes=await hub.factors.new_recovery_codes(session, account)
        )


@router.post("/accounts/me/passkeys/options")
async def begin_passkey(
    body: PasswordProof, request: Request, hub: HubDep, actor: Self
) -> PasskeyOptionsOut:
    """Return what the browser makes a passkey with."""
    party = relying_party(hub, request)
    await _prove(hub, actor, request, body.password.get_secret_value())
    async with hub.database.transaction() as session:
        account = await _holder(hub, session, actor)
        challenge, options = await hub.factors.begin_passkey(session, account, party)
    return PasskeyOptionsOut(challenge=challenge, options=options)


@router.post("/accounts/me/passkeys", status_code=201)
async def add_passkey(body: PasskeyAdd, request: Request, hub: HubDep, actor: Self) -> PasskeyAdded:
    """Add the passkey that the browser made."""
    async with hub.database.transaction() as session:
        account = await _holder(hub, session, actor)
        row, codes = await hub.factors.add_passkey(
            session,
            account,
            challenge=body.challenge,
            credential=body.credential,
            name=body.name,
            party=relying_party(hub, request),
        )
        return PasskeyAdded(**PasskeyOut.of(row).model_dump(), recovery_codes=codes)


@router.patch("/accounts/me/passkeys/{passkey_id}")
async def rename_passkey(
    passkey_id: UUID, body: PasskeyRename, hub: HubDep, actor: Self
) -> PasskeyOut:
    """Give a passkey another name."""
    async with hub.database.transaction() as session:
        account = await _holder(hub, session, actor)
        return PasskeyOut.of(
            await hub.factors.rename_passkey(session, account, passkey_id, body.name)
        )


@router.delete("/accounts/me/passkeys/{passkey_id}", status_code=204)
async def remove_passkey(
    passkey_id: UUID, body: PasswordProof, request: Request, hub: HubDep, actor: Self
) -> None:
    """Remove a passkey."""
    await _prove(hub, actor, request, body.password.get_secret_value())
    async with hub.database.transaction() as session:
        account = await _holder(hub, session, actor)
        await hub.factors.remove_passkey(session, account, passkey_id)


@router.post("/accounts/me/oidc")
async def link_identity(
    body: PasswordProof, request: Request, response: Response, hub: HubDep, actor: Self
) -> GoTo:
    """Return where the browser goes to connect the own account with the identity provider."""
    await _prove(hub, actor, request, body.password.get_secret_value())
    async with hub.database.read() as session:
        _refuse_unready(await hub.accounts.get(session, _id(actor)))
    url, ticket = await hub.oidc.begin(
        callback_url(hub, request), link_to=_id(actor), session_id=actor.session_id
    )
    set_ticket(hub, response, ticket)
    return GoTo(url=url)


@router.delete("/accounts/me/oidc", status_code=204)
async def unlink_identity(body: PasswordProof, request: Request, hub: HubDep, actor: Self) -> None:
    """Disconnect the own account from the identity provider."""
    await _prove(hub, actor, request, body.password.get_secret_value())
    async with hub.database.transaction() as session:
        account = await _holder(hub, session, actor)
        await hub.oidc.unlink(session, account, actor)


def _id(actor: Actor) -> UUID:
    if actor.id is None or actor.kind != "account":
        raise ForbiddenError("Only accounts of people have a page of their own.")
    return actor.id


async def _prove(hub: Hub, actor: Actor, request: Request, password: str) -> None:
    await hub.accounts.check_own_password(
        hub.database, account_id=_id(actor), password=password, address=address_of(request)
    )


async def _holder(hub: Hub, session: AsyncSession, actor: Actor) -> Account:
    """Return the own account, locked; a password that others know is changed before all else."""
    account = await hub.accounts.get_for_change(session, _id(actor))
    _refuse_unready(account)
    return account


def _refuse_unready(account: Account) -> None:
    if account.must_change_password:
        raise own_account_first("password-change-needed")
