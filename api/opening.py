"""The last step of every way to sign in: a new session, and its cookie."""

from datetime import datetime

from fastapi import Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.accounts.schemas import RoleOut
from access.accounts.service import actor_of
from access.households.membership import with_households
from access.policy.types import Role
from access.sessions.schemas import SecondStepOut, SessionOut, SignedInAccount
from access.sessions.service import ABSOLUTE_LIMIT, OpenedSession, csrf_token
from api.door import OWN_ACTIONS, session_cookie
from api.hub import Hub
from api.own_site import relying_party_if_any
from core.errors import UnauthenticatedError


def address_of(request: Request) -> str:
    """Return the peer's address."""
    return request.client.host if request.client else ""


async def open_session(
    hub: Hub, session: AsyncSession, account: Account, request: Request, method: str
) -> OpenedSession:
    """Open a session for `account` and end the one that the browser showed.

    Raises:
        UnauthenticatedError: the account was switched off in the meantime.
    """
    if not account.active:
        raise UnauthenticatedError(
            "The account is switched off.",
            remedy="Ask an administrator.",
            code="invalid-credentials",
        )
    before = request.cookies.get(session_cookie(hub.settings.server))
    if before and (old := await hub.sessions.resolve(session, before)) is not None:
        await hub.sessions.end(session, old[0].id, "signed in anew")
    return await hub.sessions.open(
        session,
        account.id,
        address=address_of(request),
        user_agent=request.headers.get("User-Agent", ""),
        method=method,
    )


async def ask_second_step(
    hub: Hub, session: AsyncSession, account: Account, request: Request
) -> SecondStepOut:
    """Return what `account` must show next."""
    step = await hub.steps.ask(session, account, relying_party_if_any(hub, request))
    return SecondStepOut(
        challenge=step.challenge,
        methods=step.methods,
        expires_at=step.expires_at,
        passkey_options=step.passkey_options,
    )


async def session_out(
    hub: Hub, session: AsyncSession, account: Account, token: str, expires_at: datetime
) -> SessionOut:
    """Return the session for the wire; an account that must do something first may only that."""
    must = hub.accounts.may_only(account)
    actor = await with_households(session, actor_of(account))
    return SessionOut.model_validate(
        {
            "account": SignedInAccount(
                id=account.id,
                username=account.username,
                display_name=account.display_name,
                roles=[RoleOut(role=Role(row.role), area=row.area) for row in account.roles],
                locale=account.locale,
            ),
            "csrf_token": csrf_token(token),
            "actions": [a for a in hub.policy.actions(actor) if must is None or a in OWN_ACTIONS],
            "expires_at": expires_at,
            "must": must,
        }
    )


def set_cookie(hub: Hub, response: Response, token: str) -> None:
    """Give the browser its session."""
    response.set_cookie(
        session_cookie(hub.settings.server),
        token,
        max_age=int(ABSOLUTE_LIMIT.total_seconds()),
        path="/",
        secure=hub.settings.server.https,
        httponly=True,
        samesite="strict",
    )
