"""Signing in and out, and what the own sessions are."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from access.accounts.models import Account
from access.policy.types import Actor
from access.sessions.schemas import (
    OwnSessionOut,
    PasskeyOptionsOut,
    PasskeySignIn,
    SecondStep,
    SecondStepOut,
    SessionOut,
    SignIn,
)
from api.door import permit, session_cookie
from api.hub import Hub, HubDep
from api.opening import address_of, ask_second_step, open_session, session_out, set_cookie
from api.own_site import relying_party, relying_party_if_any
from core.errors import ForbiddenError, UnauthenticatedError
from core.metrics import counter

_SECOND_STEPS = counter("second_steps", "Answers to the second step of signing in", ("outcome",))

router = APIRouter(tags=["sessions"])


@router.post("/sessions", status_code=201, responses={202: {"model": SecondStepOut}})
async def sign_in(
    body: SignIn, request: Request, response: Response, hub: HubDep
) -> SessionOut | SecondStepOut:
    """Sign in; the answer sets the session's cookie. Whatever session was there before ends.

    An account with a second factor gets 202 and a challenge instead, and no session yet.
    """
    account_id = await hub.accounts.sign_in(
        hub.database,
        username=body.username,
        password=body.password.get_secret_value(),
        address=address_of(request),
    )
    async with hub.database.transaction() as session:
        # The account is read again: it may have been changed while the hash was checked.
        account = await hub.accounts.get(session, account_id)
        if account.has_second_factor and account.active:
            answer = await ask_second_step(hub, session, account, request)
            response.status_code = 202
            return answer
        return await _opened(hub, session, account, request, response, method="password")


@router.post("/sessions/second-factor", status_code=201)
async def second_step(
    body: SecondStep, request: Request, response: Response, hub: HubDep
) -> SessionOut:
    """Sign in with what was asked for after the password."""
    address = address_of(request)
    async with hub.database.transaction() as session:
        # Committed before the answer is looked at, so that many guesses at once count.
        pending = await hub.steps.count_try(session, body.challenge)
        key = str(pending.account_id)
        known = await hub.sessions.known_address(session, pending.account_id, address)
        hub.accounts.throttle.attempt_second_step(key, address, known=known)
    try:
        async with hub.database.transaction() as session:
            account = await hub.accounts.get_for_change(session, pending.account_id)
            await hub.steps.answer(
                session,
                pending,
                method=body.method,
                code=body.code.get_secret_value(),
                credential=body.credential,
                party=relying_party_if_any(hub, request),
            )
            answer = await _opened(hub, session, account, request, response, method=body.method)
    except UnauthenticatedError:
        _SECOND_STEPS.labels("refused").inc()
        raise
    hub.accounts.throttle.second_step_succeeded(key, address)
    _SECOND_STEPS.labels("accepted").inc()
    return answer


@router.post("/sessions/passkey/options")
async def passkey_sign_in_options(request: Request, hub: HubDep) -> PasskeyOptionsOut:
    """Return what the browser asks for a passkey with that stands for name and password."""
    challenge, options = hub.steps.offer_passkey(relying_party(hub, request))
    return PasskeyOptionsOut(challenge=challenge, options=options)


@router.post("/sessions/passkey", status_code=201)
async def passkey_sign_in(
    body: PasskeySignIn, request: Request, response: Response, hub: HubDep
) -> SessionOut:
    """Sign in with a passkey alone; it must have asked for PIN or finger."""
    party = relying_party(hub, request)
    async with hub.database.transaction() as session:
        account_id = await hub.steps.sign_in_by_passkey(
            session, body.challenge, body.credential, party
        )
        account = await hub.accounts.get(session, account_id)
        return await _opened(hub, session, account, request, response, method="passkey")


@router.get("/sessions")
async def list_own_sessions(
    hub: HubDep, actor: Annotated[Actor, permit("session.read")]
) -> list[OwnSessionOut]:
    """List where the own account is signed in, the session used last first."""
    async with hub.database.read() as session:
        rows = await hub.sessions.of(session, _own_id(actor))
        return [OwnSessionOut.of(row, actor.session_id) for row in rows]


@router.delete("/sessions", status_code=204)
async def end_other_sessions(
    hub: HubDep, actor: Annotated[Actor, permit("session.delete")]
) -> None:
    """End every session of the own account but this one."""
    async with hub.database.transaction() as session:
        await hub.sessions.end_all(
            session, _own_id(actor), "ended by its holder", but=actor.session_id, by=actor
        )


@router.get("/sessions/current")
async def current_session(
    connection: HTTPConnection, hub: HubDep, _actor: Annotated[Actor, permit("session.read")]
) -> SessionOut:
    """Return the own account, what it may do, and the session's CSRF token."""
    token = connection.cookies.get(session_cookie(hub.settings.server), "")
    async with hub.database.read() as session:
        found = await hub.sessions.resolve(session, token)
        if found is None:
            raise UnauthenticatedError("The session has ended.", remedy="Sign in again.")
        row, account = found
        return await session_out(hub, session, account, token, row.expires_at)


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


@router.delete("/sessions/{session_id}", status_code=204)
async def end_own_session(
    session_id: UUID, hub: HubDep, actor: Annotated[Actor, permit("session.delete")]
) -> None:
    """End one session of the own account, and every stream that it holds open."""
    async with hub.database.transaction() as session:
        await hub.sessions.end_own(session, _own_id(actor), session_id, actor)


def _own_id(actor: Actor) -> UUID:
    if actor.id is None or actor.kind != "account":
        raise ForbiddenError("Only accounts of people have sessions.")
    return actor.id


async def _opened(
    hub: Hub,
    session: AsyncSession,
    account: Account,
    request: Request,
    response: Response,
    *,
    method: str,
) -> SessionOut:
    opened = await open_session(hub, session, account, request, method)
    answer = await session_out(hub, session, account, opened.token, opened.expires_at)
    set_cookie(hub, response, opened.token)
    return answer
