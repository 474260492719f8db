"""Signing in through the organisation's identity provider: out to it, and back."""

from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import RedirectResponse

from access.accounts.models import Account
from access.sessions.schemas import OidcOffer
from api.hub import Hub, HubDep
from api.opening import address_of, ask_second_step, open_session, set_cookie
from api.own_site import base_url
from core.errors import HubError, UnauthenticatedError
from core.logging import get_logger

router = APIRouter(tags=["sessions"])
_log = get_logger("api.oidc")

PATH = "/api/v1/sessions/oidc"
_LIFETIME_S = 600


@router.get("/sessions/oidc")
async def oidc_offer(hub: HubDep) -> OidcOffer:
    """Say whether there is sign-in through an identity provider."""
    return OidcOffer(enabled=hub.oidc.enabled, name=hub.oidc.name)


@router.get("/sessions/oidc/start", status_code=302, response_class=RedirectResponse)
async def oidc_start(request: Request, hub: HubDep) -> Response:
    """Send the browser to the provider; back to the sign-in page if that is not possible."""
    try:
        url, ticket = await hub.oidc.begin(callback_url(hub, request))
    except HubError as error:
        return _back(hub, "/sign-in", {"problem": error.code})
    response = RedirectResponse(url, status_code=302)
    set_ticket(hub, response, ticket)
    return response


@router.get("/sessions/oidc/callback", status_code=302, response_class=RedirectResponse)
async def oidc_callback(
    request: Request,
    hub: HubDep,
    state: Annotated[str, Query(max_length=500)] = "",
    code: Annotated[str, Query(max_length=4000)] = "",
    error: Annotated[str, Query(max_length=500)] = "",
) -> Response:
    """Take what the provider sends the browser back with: a session, or the connected account.

    Problems are shown by the console: a person is looking at this, not a program.
    """
    ticket = request.cookies.get(ticket_cookie(hub), "")
    page = "/account" if hub.oidc.is_to_link(ticket) else "/sign-in"
    if error:
        # Not every provider sends the state back with it; nothing follows from it but this page.
        _log.info("provider_denied", error=error[:60])
        return _back(hub, page, {"problem": "provider-denied"})
    try:
        data = hub.oidc.opened(ticket, state)
        subject, username = await hub.oidc.identity(data, code)
        if "link_to" in data:
            await _link(hub, ticket, data, subject)
            return _back(hub, page, {"linked": "1"})
        return await _sign_in(hub, request, ticket, subject, username)
    except HubError as problem:
        _log.info("oidc_refused", code=problem.code, address=address_of(request))
        return _back(hub, page, {"problem": problem.code})


def callback_url(hub: Hub, request: Request) -> str:
    """Return where the provider sends the browser back to; it must be registered there.

    Raises:
        ConflictError: code `public-url-needed`.
    """
    return f"{base_url(hub, request)}{PATH}/callback"


def ticket_cookie(hub: Hub) -> str:
    """Return the name of the cookie that holds the ticket of a sign-in under way."""
    return f"{'__Secure-' if hub.settings.server.https else ''}camera_hub_oidc"


def set_ticket(hub: Hub, response: Response, ticket: str) -> None:
    """Give the browser the ticket. Lax: it comes back with the provider's redirect."""
    response.set_cookie(
        ticket_cookie(hub),
        ticket,
        max_age=_LIFETIME_S,
        path=PATH,
        secure=hub.settings.server.https,
        httponly=True,
        samesite="lax",
    )


async def _sign_in(
    hub: Hub, request: Request, ticket: str, subject: str, username: str
) -> Response:
    async with hub.database.transaction() as session:
        account = await hub.oidc.account_of(session, subject, username)
        await hub.oidc.spend(session, ticket)
        if account.has_second_factor:
            step = await ask_second_step(hub, session, account, request)
            # Behind the #, so that it reaches the page and no log of any server.
            return _back(hub, "/sign-in", {}, fragment=step.model_dump_json())
        opened = await open_session(hub, session, account, request, "oidc")
    response = _back(hub, "/", {})
    set_cookie(hub, response, opened.token)
    return response


async def _link(hub: Hub, ticket: str, data: dict[str, str], subject: str) -> None:
    """Connect the identity, if the session that asked for it still goes on."""
    async with hub.database.transaction() as session:
        account: Account | None = await hub.sessions.account_of(session, UUID(data["session_id"]))
        if account is None or account.id != UUID(data["link_to"]):
            raise UnauthenticatedError("The session has ended.", remedy="Sign in again.")
        account = await hub.accounts.get_for_change(session, account.id)
        await hub.oidc.spend(session, ticket)
        await hub.oidc.link(session, account, subject)


def _back(hub: Hub, page: str, query: dict[str, str], fragment: str = "") -> Response:
    """Lead to a page of the console; the ticket is not needed any more."""
    target = f"{page}?{urlencode(query)}" if query else page
    if fragment:
        target += "#" + urlencode({"step": fragment})
    response = RedirectResponse(target, status_code=302)
    response.delete_cookie(
        ticket_cookie(hub),
        path=PATH,
        secure=hub.settings.server.https,
        httponly=True,
        samesite="lax",
    )
    return response
