"""The door: how every route asks who is there and what they may do.

`permit(action)` is the dependency that a route names; `require` asks again once the thing itself is
known; `still_permitted` asks again while a stream stays open. `check_routes` refuses an application
with a route that does not ask.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import FastAPI, params
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIWebSocketRoute, iter_route_contexts
from sqlalchemy.exc import DBAPIError
from starlette.requests import HTTPConnection

from access.households.membership import with_households
from access.policy.types import ANONYMOUS, ORDINARY, Actor, Circumstances, Resource
from access.sessions.models import Session
from access.sessions.service import csrf_matches
from access.tokens.service import actor_of as token_actor
from api.hub import Hub, hub_of
from api.store_problems import explain
from core.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from core.metrics import counter
from core.settings import ServerSettings

COOKIE = "camera_hub_session"
"""Name of the session's cookie over plain HTTP; see `session_cookie`."""
CSRF_HEADER = "X-CSRF-Token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

PUBLIC = frozenset(
    {
        "sign_in",
        "second_step",
        "passkey_sign_in_options",
        "passkey_sign_in",
        "oidc_offer",
        "oidc_start",
        "oidc_callback",
        "read_transparency",
        "read_answer",
        "give_answer",
        "read_contact_consent",
        "give_contact_consent",
        "take_gateway_callback",
        "pair_alarm_device",
        "health_live",
        "health_ready",
        "openapi",
        "asyncapi",
        "console_asset",
        "console_page",
    }
)
"""Names of the only routes without an actor: sign-in, health, the description, the console."""

OWN_ACTIONS = frozenset({"session.read", "session.delete", "account.self"})
"""What an account may still do that must first change its password or set up a second factor."""

_READ_ACTION = {
    "camera": "camera.read",
    "zone": "camera.read",
    "recording": "camera.read",
    "incident": "incident.read",
    "export": "export.list",
    "household": "household.list",
    "grant": "grant.list",
    "account": "account.list",
    "token": "token.list",
    "seal": "seal.list",
    "area": "area.list",
    "duty": "duty.read",
    "gateway": "gateway.list",
    "webhook": "webhook.list",
    "device": "device.list",
    "plan": "plan.read",
}

_REFUSED = counter("door_refused", "Requests refused at the door", ("reason",))
_UNTOUCHED = counter("sessions_untouched", "Times that the use of a session could not be written")


class _Permit:
    """The dependency behind `permit`."""

    def __init__(self, action: str, *, loopback: bool = False) -> None:
        self.action = action
        self.loopback = loopback

    async def __call__(self, connection: HTTPConnection) -> Actor:
        hub = hub_of(connection)
        if self.loopback and _is_local(hub, connection):
            return Actor(kind="service", name="loopback", scopes=frozenset({self.action}))
        actor = await authenticate(hub, connection)
        connection.state.actor = actor
        if actor.kind == "anonymous":
            _REFUSED.labels("anonymous").inc()
            raise UnauthenticatedError("You are not signed in.", remedy="Sign in and try again.")
        reason = getattr(connection.state, "may_only", None)
        if reason is not None and self.action not in OWN_ACTIONS:
            _REFUSED.labels(reason).inc()
            raise own_account_first(reason)
        if not hub.policy.somewhere(actor, self.action):
            _REFUSED.labels("policy").inc()
            raise _forbidden(self.action)
        return actor


def permit(action: str, *, loopback: bool = False) -> Any:
    """Return the dependency that lets in whoever may do `action` somewhere, and gives the Actor.

    With `loopback` a request that comes from this machine itself, and through no proxy, is let in
    without credentials. The route answers 401 if nobody is there and 403 if the policy permits
    this actor the action nowhere; whether it may be done to one thing is for `require`.
    """
    return params.Depends(_Permit(action, loopback=loopback))


def require(
    hub: Hub,
    actor: Actor,
    action: str,
    resource: Resource,
    circumstances: Circumstances = ORDINARY,
) -> None:
    """Let `actor` do `action` to `resource`, or raise.

    Raises:
        NotFoundError: the actor may not know that the thing exists.
        ForbiddenError: the actor may know of it, but not do this.
    """
    if hub.policy.authorize(actor, action, resource, circumstances).allowed:
        return
    _REFUSED.labels("policy").inc()
    own = {str(household) for household in actor.households}
    if actor.home_waits and resource.household in own:
        raise home_waits_first()
    reading = _READ_ACTION.get(resource.kind)
    # Without an id it is about making something, or about all of them: nothing to hide.
    if (
        reading is None
        or not resource.id
        or hub.policy.authorize(actor, reading, resource, circumstances).allowed
    ):
        raise _forbidden(action)
    raise NotFoundError(
        f"There is no such {resource.kind}.",
        remedy="It may have been removed, or lie outside of your areas.",
    )


async def still_permitted(
    hub: Hub,
    actor: Actor,
    action: str,
    resource: Resource | None = None,
    circumstances: Circumstances = ORDINARY,
) -> bool:
    """Ask again for a stream that stays open, with the session, token and roles as they are now.

    A stream asks every second and ends on False: sign-out, deactivation and demotion cut it
    within two seconds.
    """
    now = await actor_now(hub, actor)
    if now is None:
        return False
    if resource is None:
        return hub.policy.somewhere(now, action)
    return hub.policy.authorize(now, action, resource, circumstances).allowed


async def actor_now(hub: Hub, actor: Actor) -> Actor | None:
    """Return `actor` with the roles or scopes as they are now; None if it no longer counts.

    An open stream counts as use of its session: a wall that shows the queue all night must not
    fall silent because nobody touched it.
    """
    if actor.kind == "account" and actor.session_id is not None:
        async with hub.database.read(short=True) as session:
            found = await hub.sessions.live(session, actor.session_id)
            if found is None or hub.accounts.may_only(found[1]) is not None:
                return None
            now = await with_households(session, hub.accounts.actor(found[1], actor.session_id))
        await _touch_session(hub, found[0])
        return now
    if actor.kind == "service" and actor.id is not None:
        async with hub.database.read(short=True) as session:
            token = await hub.tokens.live(session, actor.id)
        return None if token is None else token_actor(token)
    return None


def session_cookie(server: ServerSettings) -> str:
    """Return the name of the session's cookie.

    Over HTTPS it has the prefix by which browsers take it from this very host and path only, so
    that no neighbour under the same domain can plant one.
    """
    return f"__Host-{COOKIE}" if server.https else COOKIE


async def authenticate(hub: Hub, connection: HTTPConnection) -> Actor:
    """Return who is there: by bearer token, else by session cookie, else nobody.

    Raises:
        UnauthenticatedError: credentials were shown, but they do not count.
        ForbiddenError: code `csrf`: an unsafe request with a cookie lacks its CSRF token.
    """
    header = connection.headers.get("Authorization")
    if header is not None:
        return await _by_bearer(hub, header)
    token = connection.cookies.get(session_cookie(hub.settings.server))
    if not token:
        return ANONYMOUS
    async with hub.database.read(short=True) as session:
        found = await hub.sessions.resolve(session, token)
        if found is not None:
            actor = await with_households(session, hub.accounts.actor(found[1], found[0].id))
    if found is None:
        _REFUSED.labels("session").inc()
        raise UnauthenticatedError("The session has ended.", remedy="Sign in again.")
    if connection.scope["type"] == "http" and connection.scope["method"] not in SAFE_METHODS:
        _check_csrf(connection, token)
    await _touch_session(hub, found[0])
    connection.state.may_only = hub.accounts.may_only(found[1])
    return actor


async def _touch_session(hub: Hub, row: Session) -> None:
    """Write that the session is in use. On a full disk it merely runs out the sooner."""
    if not hub.sessions.needs_touch(row):
        return
    try:
        async with hub.database.transaction(short=True) as session:
            await hub.sessions.touch(session, row.id)
    except DBAPIError as error:
        if explain(error) is None:
            raise
        _UNTOUCHED.inc()


async def _by_bearer(hub: Hub, header: str) -> Actor:
    scheme, _, secret = header.partition(" ")
    row = None
    if scheme.lower() == "bearer":
        row = await hub.token_lookup.resolve(secret.strip())
    if row is None:
        _REFUSED.labels("token").inc()
        raise UnauthenticatedError(
            "The token is not valid: unknown, expired or revoked.",
            remedy="Ask an administrator for a new token.",
            code="invalid-token",
        )
    hub.token_lookup.used(row)
    return token_actor(row)


def _check_csrf(connection: HTTPConnection, token: str) -> None:
    presented = connection.headers.get(CSRF_HEADER, "")
    if not csrf_matches(token, presented):
        _REFUSED.labels("csrf").inc()
        raise ForbiddenError(
            f"The request does not carry the {CSRF_HEADER} of this session.",
            remedy="Reload the page. Programs read csrf_token from /api/v1/sessions/current.",
            code="csrf",
        )


def _is_local(hub: Hub, connection: HTTPConnection) -> bool:
    """Say whether the request was made on this machine and came through no proxy."""
    forwarded = any(
        name in connection.headers for name in ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")
    )
    return (
        not hub.settings.server.public_url
        and not forwarded
        and connection.client is not None
        and connection.client.host in {"127.0.0.1", "::1"}
    )


def own_account_first(reason: str) -> ForbiddenError:
    """Return the error of an account that may only look after itself, by `Accounts.may_only`."""
    if reason == "password-change-needed":
        return ForbiddenError(
            "Somebody else set your password; choose one that only you know first.",
            remedy="Change it on the page of your account (PUT /api/v1/accounts/me/password).",
            code=reason,
        )
    return ForbiddenError(
        "Your role needs a second factor at sign-in, and your account has none.",
        remedy="Set up an authenticator app or a passkey on the page of your account.",
        code=reason,
    )


def home_waits_first() -> ForbiddenError:
    """Return the error of an account whose password somebody else has just set."""
    return ForbiddenError(
        "Somebody else has set your password within the last 24 hours; until they have gone by "
        "your account is shown no home and changes nothing about who is.",
        remedy="Wait. If you did not ask for it, tell the others of the household now.",
        code="home-waits",
    )


def _forbidden(action: str) -> ForbiddenError:
    return ForbiddenError(
        f"Your account may not do this ({action}).",
        remedy="Ask an administrator for the role it needs.",
    )


class UnguardedRouteError(RuntimeError):
    """A route neither names its action nor is public; the application must not start."""


def routes_of(app: FastAPI) -> Iterator[tuple[str, str, str, str | None]]:
    """Yield (methods or "WS", path, name, action) of every route, WebSocket and mount of `app`."""
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        path = context.path or ""
        name = context.name or ""
        if isinstance(route, APIWebSocketRoute):
            yield "WS", path, name, _action(route.dependant)
        elif isinstance(route, APIRoute):
            methods = " ".join(sorted(context.methods or ()))
            yield methods, path, name, _action(context.dependant)
        else:
            methods = " ".join(sorted(getattr(route, "methods", None) or ())) or "MOUNT"
            yield methods, path, name, None


def check_routes(app: FastAPI, public: Iterable[str] = PUBLIC) -> None:
    """Refuse an application with a route that does not ask.

    Raises:
        UnguardedRouteError: names the routes.
    """
    allowed = set(public)
    bad = [
        f"{methods} {path} ({name})"
        for methods, path, name, action in routes_of(app)
        if action is None and name not in allowed
    ]
    if bad:
        raise UnguardedRouteError(
            "these routes have no permit(action) and are not public: " + ", ".join(bad)
        )


def _action(dependant: Dependant) -> str | None:
    if isinstance(dependant.call, _Permit):
        return dependant.call.action
    for inner in dependant.dependencies:
        found = _action(inner)
        if found is not None:
            return found
    return None
