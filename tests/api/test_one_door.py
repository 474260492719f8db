"""Invariant 4: one door. Every route and WebSocket of the application × everybody × two areas."""

import asyncio
import contextlib
import json
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from fastapi import APIRouter, FastAPI
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from access.consent.models import ConsentGrant
from access.policy import ACTIONS, SCOPES, Role, RoleBinding
from api.app import create_app
from api.door import COOKIE, CSRF_HEADER, PUBLIC, UnguardedRouteError, check_routes, routes_of
from api.hub import Hub
from camera_hub.devices.models import Camera
from core.ids import new_id
from governance.exports import repository as exports
from governance.exports.models import ExportRequest
from governance.incidents.service import NewIncident
from tests.api.door_table import TABLE, Row
from tests.support.http import password_hash

HERE = "demo/here"
THERE = "demo/there"
PEOPLE = [role.value for role in Role if role is not Role.SERVICE]
DECIDING = [role for role in PEOPLE if role in {"administrator", "auditor"}]
WATCHING = [role for role in PEOPLE if role not in DECIDING]
"""As much as one account can hold."""

Message = MutableMapping[str, Any]


@dataclass
class Answer:
    """Status of the answer (a WebSocket's close code less 4000; 101 if it opened) and its code."""

    status: int
    code: str = ""


def _scope(method: str, path: str, headers: dict[str, str], is_json: bool) -> dict[str, Any]:
    kind = "websocket" if method == "WS" else "http"
    raw = [(k.lower().encode(), v.encode()) for k, v in {"Host": "hub", **headers}.items()]
    if is_json:
        raw.append((b"content-type", b"application/json"))
    return {
        "type": kind,
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "subprotocols": [],
        "scheme": "ws" if kind == "websocket" else "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": raw,
        "client": ("192.0.2.7", 1234),
        "server": ("hub", 80),
        "state": {},
    }


class _Ear:
    """Listens to an answer until it is clear what the door did."""

    def __init__(self) -> None:
        self.answer = Answer(0)
        self.done = asyncio.Event()

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            self.answer.status = message["status"]
            types = [v for k, v in message["headers"] if k.lower() == b"content-type"]
            # A stream is left as soon as it begins.
            if types and types[0].startswith(b"text/event-stream"):
                self.done.set()
        elif kind == "http.response.body":
            if message.get("body", b"").startswith(b"{") and self.answer.status >= 400:
                self.answer.code = json.loads(message["body"])["code"]
            if not message.get("more_body", False):
                self.done.set()
        elif kind == "websocket.accept":
            self.answer.status = 101
        elif kind == "websocket.close":
            self.answer.status = message["code"] - 4000
            self.done.set()
        elif kind == "websocket.send":
            self.done.set()


async def knock(
    app: FastAPI, method: str, path: str, headers: dict[str, str], body: object = None
) -> Answer:
    """Ask `app` in process."""
    incoming: asyncio.Queue[Message] = asyncio.Queue()
    if method == "WS":
        incoming.put_nowait({"type": "websocket.connect"})
    else:
        content = b"" if body is None else json.dumps(body).encode()
        incoming.put_nowait({"type": "http.request", "body": content, "more_body": False})
    ear = _Ear()
    task = asyncio.create_task(
        app(_scope(method, path, headers, body is not None), incoming.get, ear.send)
    )
    waiting = asyncio.create_task(ear.done.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    # The visitor goes away; the application ends by itself, as it must.
    gone = "websocket.disconnect" if method == "WS" else "http.disconnect"
    incoming.put_nowait({"type": gone, "code": 1001})
    await task
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    return ear.answer


@dataclass
class Things:
    """One of each thing in one area, by the name of its path parameter."""

    ids: dict[str, UUID]


async def make_things(hub: Hub, area: str) -> Things:
    """Put one of each thing into `area`."""
    async with hub.database.transaction() as session:
        number = new_id().hex[-12:]
        account = await hub.accounts.create(
            session,
            username=f"thing-{number}",
            display_name="Thing",
            password=password_hash(),
            roles=[RoleBinding(Role.RESIDENT, area)],
        )
        token, _ = await hub.tokens.issue(session, name="t", scopes=["signal.post"], area=area)
        camera = Camera(
            id=new_id(),
            name="Gate 3",
            area=area,
            place_kind="public_space",
            source_kind="rtsp",
            address="rtsp://192.0.2.1/",
            enabled=False,
            created_at=hub.clock.now(),
        )
        session.add(camera)
        incident = await hub.governance.incidents.open(
            session,
            NewIncident(
                kind="intrusion",
                type="org.camerahub.detection.intrusion",
                category="Security",
                urgency="Immediate",
                severity="severe",
                certainty="Likely",
                status="actual",
                dedup_key=number,
                headline="Somebody at Gate 3",
                area=area,
                camera_id=camera.id,
                camera_name=camera.name,
                zone_name="",
                observed_at=hub.clock.now(),
            ),
        )
        household = await hub.households.create(session, None, name="Flat 1204", area=area)
        grant = ConsentGrant(
            id=new_id(),
            camera_id=new_id(),
            household_id=household.id,
            kind="alarm",
            given_by=account.id,
            given_at=hub.clock.now(),
        )
        session.add(grant)
        export = ExportRequest(
            id=new_id(),
            year=2026,
            ordinal=await exports.next_ordinal(session, 2026),
            incident_id=incident.id,
            incident_number=incident.number,
            area=area,
            camera_id=camera.id,
            camera_name=camera.name,
            place_kind=camera.place_kind,
            household_id=None,
            attachment_ids=[],
            purpose="case",
            reference="case 1",
            reason="asked for by the court",
            audience="authority",
            expires_in_days=3,
            state="requested",
            requested_by=account.id,
            requested_at=hub.clock.now(),
        )
        session.add(export)
        return Things(
            {
                "export_id": export.id,
                "household_id": household.id,
                "grant_id": grant.id,
                "account_id": account.id,
                "token_id": token.id,
                "camera_id": camera.id,
                "incident_id": incident.id,
                "attachment_id": new_id(),
            }
        )


def place(path: str, things: Things) -> str:
    """Return `path` with the ids of `things` in it."""
    for name, value in things.ids.items():
        path = path.replace(f"{{{name}}}", str(value))
    return path.replace("{name}", "media-0").replace("{path:path}", "cameras")


@pytest.fixture
async def keys(hub: Hub) -> dict[str, dict[str, str]]:
    """What each visitor shows at the door: roles held in HERE, tokens good for HERE."""
    found: dict[str, dict[str, str]] = {"anonymous": {}}
    async with hub.database.transaction() as session:
        for role in PEOPLE:
            account = await hub.accounts.create(
                session,
                username=f"the-{role}".replace("_", "-"),
                display_name=role,
                password=password_hash(),
                roles=[RoleBinding(Role(role), HERE)],
            )
            found[role] = await _session_headers(hub, session, account.id)
        for scope in sorted(SCOPES):
            _, secret = await hub.tokens.issue(session, name=scope, scopes=[scope], area=HERE)
            found[f"token:{scope}"] = {"Authorization": f"Bearer {secret}"}
    return found


async def _session_headers(hub: Hub, session: Any, account_id: UUID) -> dict[str, str]:
    opened = await hub.sessions.open(session, account_id, address="", user_agent="")
    return {"Cookie": f"{COOKIE}={opened.token}", CSRF_HEADER: opened.csrf_token}


def expected(row: Row, visitor: str) -> str:
    """Return what the table says: "in", "nobody" (401) or "refused" (403)."""
    if row.who == "everybody":
        return "in"
    if visitor == "anonymous":
        return "nobody"
    if row.who == "signed in":
        return "in" if visitor in PEOPLE else "refused"
    return "in" if visitor in row.who.split() else "refused"


def outcome(answer: Answer) -> str:
    """Return what the door did. A conflict or an absent picture is behind the door."""
    if answer.status == 401 and answer.code != "invalid-credentials":
        return "nobody"
    if answer.status == 403:
        return "refused"
    return "in"


def test_every_route_has_its_line_and_every_line_its_route(app: FastAPI) -> None:
    built = {
        (method, path)
        for methods, path, _, _ in routes_of(app)
        for method in methods.split()
        if method != "HEAD"
    }
    written = {(row.method, row.path) for row in TABLE}
    assert built - written == set(), "routes without a line in tests/api/door_table.py"
    assert written - built == set(), "lines without a route"


def test_every_public_route_is_one_that_the_table_opens_to_everybody(app: FastAPI) -> None:
    open_rows = {(row.method, row.path) for row in TABLE if row.who == "everybody"}
    for methods, path, name, action in routes_of(app):
        public = all((m, path) in open_rows for m in methods.split() if m != "HEAD")
        assert public == (action is None) == (name in PUBLIC), path
        assert action is None or action in ACTIONS, path


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.method} {row.path}")
async def test_one_door(row: Row, app: FastAPI, hub: Hub, keys: dict[str, dict[str, str]]) -> None:
    async with contextlib.AsyncExitStack() as stack:
        if row.path.endswith("/events"):
            # The stream begins once the broadcaster has looked at the store.
            await stack.enter_async_context(hub.governance.running())
        await _walk(row, app, hub, keys)


async def _walk(row: Row, app: FastAPI, hub: Hub, keys: dict[str, dict[str, str]]) -> None:
    here, there = await make_things(hub, HERE), await make_things(hub, THERE)
    wrong = []
    for visitor, headers in keys.items():
        should = expected(row, visitor)
        answer = await knock(app, row.method, place(row.path, here), headers, row.body)
        fell = answer.status >= 500 and answer.status != 503
        if outcome(answer) != should or fell:
            wrong.append(f"{visitor}: {should} expected, got {answer}")
        if not row.things:
            continue
        if should == "in":
            assert answer.status != 404 or "attachment" in row.path, (visitor, answer)
            here = await make_things(hub, HERE)
        answer = await knock(app, row.method, place(row.path, there), headers, row.body)
        # Whoever may look at other things of the kind is not told that this one exists.
        kept_out = {"in": {404}, "nobody": {401}, "refused": {403, 404}}[should]
        if answer.status not in kept_out:
            wrong.append(f"{visitor} in a foreign area: {answer}")
    assert wrong == []


GUARDED = [row for row in TABLE if row.who != "everybody"]


async def test_what_counts_at_the_door_counts_no_more_when_it_is_taken_away(
    app: FastAPI, hub: Hub
) -> None:
    """Removed account, ended session, revoked token; made-up, malformed and stolen-looking keys."""
    things = await make_things(hub, HERE)
    everything = [RoleBinding(Role(role), "") for role in WATCHING]
    async with hub.database.transaction() as session:
        account = await hub.accounts.create(
            session,
            username="was-here",
            display_name="Was Here",
            password=password_hash(),
            roles=everything,
        )
        removed = await _session_headers(hub, session, account.id)
        account.active = False
        other = await hub.accounts.create(
            session,
            username="still-here",
            display_name="Still Here",
            password=password_hash(),
            roles=everything,
        )
        opened = await hub.sessions.open(session, other.id, address="", user_agent="")
        await hub.sessions.end(session, opened.id, "test")
        token, secret = await hub.tokens.issue(session, name="t", scopes=sorted(SCOPES))
        await hub.tokens.revoke(session, token.id)
    ended = {"Cookie": f"{COOKIE}={opened.token}", CSRF_HEADER: opened.csrf_token}
    keys = [
        removed,
        ended,
        {"Authorization": f"Bearer {secret}"},
        {"Authorization": "Bearer chub_" + "A" * 43},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic d2FzLWhlcmU6eA=="},
        {"Authorization": f"Bearer {opened.token}"},
        {"Authorization": "Bearer " + "x" * 5000},
        {"Cookie": f"{COOKIE}={secret}"},
        {"Cookie": f"{COOKIE}=' OR 1=1 --"},
        {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"},
        {"X-Forwarded-User": "still-here", "Remote-User": "still-here"},
    ]
    for row in GUARDED:
        for headers in keys:
            answer = await knock(app, row.method, place(row.path, things), headers, row.body)
            assert answer.status == 401, (row, headers, answer)


async def test_every_changing_route_wants_the_csrf_token_of_its_own_session(
    app: FastAPI, hub: Hub
) -> None:
    things = await make_things(hub, HERE)
    async with hub.database.transaction() as session:
        account = await hub.accounts.create(
            session,
            username="everything",
            display_name="Everything",
            password=password_hash(),
            roles=[RoleBinding(Role(role), "") for role in WATCHING],
        )
        mine = await _session_headers(hub, session, account.id)
        second = await _session_headers(hub, session, account.id)
    changing = [row for row in GUARDED if row.method not in {"GET", "WS"}]
    assert len(changing) > 10
    for row in changing:
        for token in (None, "", "0" * 64, second[CSRF_HEADER]):
            headers = {"Cookie": mine["Cookie"]} | ({} if token is None else {CSRF_HEADER: token})
            answer = await knock(app, row.method, place(row.path, things), headers, row.body)
            assert (answer.status, answer.code) == (403, "csrf"), (row, token)


def test_an_unguarded_route_stops_the_start(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    async def endpoint() -> None: ...

    def with_router(add: Any) -> None:
        app = create_app(hub)
        check_routes(app)
        add(app)
        with pytest.raises(UnguardedRouteError):
            check_routes(app)

    def nested(app: FastAPI) -> None:
        inner, outer = APIRouter(), APIRouter()
        inner.add_api_route("/inner", endpoint)
        outer.include_router(inner, prefix="/outer")
        app.include_router(outer)

    with_router(lambda app: app.add_api_route("/forgotten", endpoint))
    with_router(lambda app: app.add_api_websocket_route("/forgotten", endpoint))
    with_router(lambda app: app.router.routes.append(Route("/forgotten", endpoint)))
    with_router(lambda app: app.mount("/files", StaticFiles(directory="/tmp")))
    with_router(lambda app: app.router.routes.append(Mount("/x", routes=[])))
    with_router(lambda app: app.host("other.example", FastAPI()))
    with_router(nested)

    router = APIRouter()
    router.add_api_route("/forgotten", endpoint)
    monkeypatch.setattr("api.app.ROUTERS", (router,))
    with pytest.raises(UnguardedRouteError, match="/api/v1/forgotten"):
        create_app(hub)
