"""Signing in and out, and what the own session is."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from starlette.requests import HTTPConnection

from access.accounts.models import Account
from access.accounts.schemas import RoleOut
from access.accounts.service import actor_of
from access.policy.types import Actor, Role
from access.sessions.schemas import SessionOut, SignedInAccount, SignIn
from access.sessions.service import ABSOLUTE_LIMIT, csrf_token
from api.door import permit, session_cookie
from api.hub import Hub, HubDep
from core.errors import UnauthenticatedError

router = APIRouter(tags=["sessions"])


@router.post("/sessions", status_code=201)
async def sign_in(body: SignIn, request: Request, response: Response, hub: HubDep) -> SessionOut:
    """Sign in; the answer sets the session's cookie. Whatever session was there before ends."""
    address = request.client.host if request.client else ""
    account_id = await hub.accounts.sign_in(
        hub.database,
        username=body.username,
        password=body.password.get_secret_value(),
        address=address,
    )
    before = request.cookies.get(session_cookie(hub.settings.server))
    async with hub.database.transaction() as session:
        # The account is read again: it may have been switched off while the hash was checked.
        account = await hub.accounts.get(session, account_id)
        if not account.active:
            raise UnauthenticatedError("The account is switched off.", code="invalid-credentials")
        if before and (old := await hub.sessions.resolve(session, before)) is not None:
            await hub.sessions.end(session, old[0].id, "signed in anew")
        opened = await hub.sessions.open(
            session,
            account.id,
            address=address,
            user_agent=request.headers.get("User-Agent", ""),
        )
    _set_cookie(hub, response, opened.token)
    return SessionOut(
        account=_own_account(account),
        csrf_token=opened.csrf_token,
        actions=hub.policy.actions(actor_of(account)),
        expires_at=opened.expires_at,
    )


@router.get("/sessions/current")
async def current_session(
    connection: HTTPConnection, hub: HubDep, actor: Annotated[Actor, permit("session.read")]
) -> SessionOut:
    """Return the own account, what it may do, and the session's CSRF token."""
    token = connection.cookies.get(session_cookie(hub.settings.server), "")
    async with hub.database.read() as session:
        found = await hub.sessions.resolve(session, token)
    if found is None:
        raise UnauthenticatedError("The session has ended.", remedy="Sign in again.")
    row, account = found
    return SessionOut(
        account=_own_account(account),
        csrf_token=csrf_token(token),
        actions=hub.policy.actions(actor),
        expires_at=row.expires_at,
    )


@router.delete("/sessions/current", status_code=204)
async def sign_out(
    response: Response, hub: HubDep, actor: Annotated[Actor, permit("session.delete")]
) -> None:
    """End the own session, and with it every stream that it holds open."""
    if actor.session_id is not None:
        async with hub.database.transaction() as session:
            await hub.sessions.end(session, actor.session_id, "signed out")
    response.delete_cookie(
        session_cookie(hub.settings.server),
        path="/",
        secure=hub.settings.server.https,
        httponly=True,
        samesite="strict",
    )


def _set_cookie(hub: Hub, response: Response, token: str) -> None:
    response.set_cookie(
        session_cookie(hub.settings.server),
        token,
        max_age=int(ABSOLUTE_LIMIT.total_seconds()),
        path="/",
        secure=hub.settings.server.https,
        httponly=True,
        samesite="strict",
    )


def _own_account(account: Account) -> SignedInAccount:
    return SignedInAccount(
        id=account.id,
        username=account.username,
        display_name=account.display_name,
        roles=[RoleOut(role=Role(row.role), area=row.area) for row in account.roles],
        locale=account.locale,
    )
