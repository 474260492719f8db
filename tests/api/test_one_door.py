"""Invariant 4: one door. Every route and WebSocket of the application × everybody × two areas.

Routes that show a camera or its pictures are walked once more for shared spaces and homes: with
and without consent, with and without a purpose.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from fastapi import APIRouter, FastAPI
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from access.policy import ACTIONS, SCOPES, Role, RoleBinding
from api.app import create_app
from api.door import COOKIE, CSRF_HEADER, PUBLIC, UnguardedRouteError, check_routes, routes_of
from api.hub import Hub, build_hub
from core.clock import ManualClock
from core.ids import new_id
from core.settings import DatabaseSettings, Settings
from tests.api.door_knock import Answer, knock
from tests.api.door_people import (
    ANSWERING,
    HERE,
    PEOPLE,
    SHARED_WITH,
    THERE,
    Keys,
    People,
    Things,
    make_people,
    make_things,
    session_headers,
)
from tests.api.door_table import TABLE, Row
from tests.support.http import password_hash

pytestmark = pytest.mark.door
walks = pytest.mark.asyncio(loop_scope="module")

WATCHING = [role for role in PEOPLE if role not in {"administrator", "auditor"}]
TOKENS = [f"token:{scope}" for scope in sorted(SCOPES)]
EVERYBODY = ["anonymous", *PEOPLE, "household", *TOKENS]


@dataclass
class House:
    """The application, built once for all of the walk, and those who walk through it."""

    hub: Hub
    app: FastAPI
    people: People
    keys: Keys
    standing: dict[tuple[str, str], Things] = field(default_factory=dict)

    async def things(self, row: Row, area: str, kind: str = "public") -> Things:
        """Return one of each thing in `area`; such as nobody has touched if the row changes it."""
        if row.changes or (area, kind) not in self.standing:
            self.standing[area, kind] = await make_things(
                self.hub,
                self.people,
                area,
                {"public": "public_space", "home": "home"}.get(kind, "shared_space"),
                watched=kind == "watched",
            )
        return self.standing[area, kind]

    async def sign_in_again(self) -> None:
        """Give everybody a new session: a row may end all that somebody has."""
        self.keys = await self.people.keys(self.hub, self.keys)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> AsyncIterator[House]:
    folder = tmp_path_factory.mktemp("house")
    store = folder / "hub.db"
    store.write_bytes(sqlite_template.read_bytes())
    settings = Settings(
        data_dir=folder / "data", database=DatabaseSettings(url=f"sqlite+aiosqlite:///{store}")
    )
    hub = build_hub(settings, ManualClock())
    people = await make_people(hub)
    keys = await people.keys(hub, [*EVERYBODY, *SHARED_WITH, *ANSWERING])
    yield House(hub, create_app(hub), people, keys)
    await hub.close()


@pytest.fixture
def app(house: House) -> FastAPI:
    return house.app


@pytest.fixture
def hub(house: House) -> Hub:
    return house.hub


def expected(who: str, visitor: str) -> str:
    """Return what the table says: "in", "nobody" (401) or "refused" (403 or 404)."""
    if who == "everybody":
        return "in"
    if visitor == "anonymous":
        return "nobody"
    if who == "signed in":
        return "refused" if visitor.startswith("token:") else "in"
    # Who lives there is a resident of the area as well.
    names = {visitor, "resident"} if visitor == "household" else {visitor}
    return "in" if names & set(who.split()) else "refused"


def outcome(answer: Answer, row: Row) -> str:
    """Return what the door did. A conflict or a camera without a picture is behind the door."""
    if answer.status == 401 and answer.code != "invalid-credentials":
        return "nobody"
    # What one may not know of is not found; what one may know of is refused.
    if answer.status == 403 or (answer.status == 404 and row.things):
        return "refused"
    return "in"


def fell(answer: Answer) -> bool:
    return answer.status >= 500 and answer.status != 503


def test_every_route_has_its_line_and_every_line_its_route(app: FastAPI) -> None:
    built = {
        (method, path)
        for methods, path, _, _ in routes_of(app)
        for method in methods.split()
        if method != "HEAD"
    }
    written = {(row.method, row.path) for row in TABLE}
    assert built - written == set(), "routes without a line in tests/api/door_table/"
    assert written - built == set(), "lines without a route"


def test_every_route_to_a_camera_or_a_picture_says_who_sees_a_home() -> None:
    for row in TABLE:
        of_place = "{camera_id}" in row.path or "/attachments/" in row.path
        assert of_place == (row.home is not None) == (row.shared is not None), row.path


def test_every_public_route_is_one_that_the_table_opens_to_everybody(app: FastAPI) -> None:
    open_rows = {(row.method, row.path) for row in TABLE if row.who == "everybody"}
    for methods, path, name, action in routes_of(app):
        public = all((m, path) in open_rows for m in methods.split() if m != "HEAD")
        assert public == (action is None) == (name in PUBLIC), path
        assert action is None or action in ACTIONS, path


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.method} {row.path}")
@walks
async def test_one_door(row: Row, house: House) -> None:
    async with contextlib.AsyncExitStack() as stack:
        if row.path.endswith("/events"):
            # The stream begins once the broadcaster has looked at the store.
            await stack.enter_async_context(house.hub.governance.running())
        wrong = await _walk(row, house)
    if row.changes and row.who == "signed in":
        await house.sign_in_again()
    assert wrong == []


async def _walk(row: Row, house: House) -> list[str]:
    """Return where the door did not do what the table says, HERE and in a foreign area."""
    app, wrong = house.app, []
    here, there = await house.things(row, HERE), await house.things(row, THERE)
    for visitor in EVERYBODY:
        headers, should = house.keys[visitor], expected(row.who, visitor)
        answer = await knock(app, row.method, here.place(row.url), headers, row.body)
        if outcome(answer, row) != should or fell(answer):
            wrong.append(f"{visitor}: {should} expected, got {answer}")
        if not row.things:
            continue
        if should == "in" and answer.status < 400:
            here = await house.things(row, HERE)
        answer = await knock(app, row.method, there.place(row.url), headers, row.body)
        # Whoever may look at other things of the kind is not told that this one exists.
        kept_out = {"in": {404}, "nobody": {401}, "refused": {403, 404}}[should]
        if answer.status not in kept_out:
            wrong.append(f"{visitor} in a foreign area: {answer}")
    return wrong


PLACES = [row for row in TABLE if row.home is not None]


@pytest.mark.parametrize("row", PLACES, ids=lambda row: f"{row.method} {row.path}")
@pytest.mark.parametrize("kind", ["shared", "watched", "home"])
@walks
async def test_one_door_by_kind_of_place_and_consent(row: Row, kind: str, house: House) -> None:
    visitors = [*EVERYBODY, *SHARED_WITH, *ANSWERING] if kind == "home" else EVERYBODY
    here = await house.things(row, HERE, kind)
    wrong = []
    for visitor in visitors:
        told, changed = await _visit(row, kind, house, visitor, here)
        wrong += [f"{visitor}: {what}" for what in told]
        if changed:
            here = await house.things(row, HERE, kind)
    assert wrong == []


async def _visit(
    row: Row, kind: str, house: House, visitor: str, here: Things
) -> tuple[list[str], bool]:
    """Return what went otherwise than the table says, and whether the visit changed the thing."""
    app, headers, wrong = house.app, house.keys[visitor], []
    should = expected(row.who_at(kind), visitor)
    answer = await knock(app, row.method, here.place(row.url), headers, row.body)
    if outcome(answer, row) != should or fell(answer):
        wrong.append(f"{should} expected, got {answer}")
    knows = expected(KNOWN[kind], visitor) == "in"
    if kind == "home" and should == "refused" and not knows and "{camera_id}" in row.path:
        # A home that one may not know of answers like a camera that never was.
        never = row.url.replace("{camera_id}", str(new_id()))
        other = await knock(app, row.method, never, headers, row.body)
        if (other.status, other.code) != (answer.status, answer.code):
            wrong.append(f"tells of the home: {answer}, of nothing: {other}")
    if row.purpose and should == "in":
        without = await knock(app, row.method, here.place(row.path), headers, row.body)
        needed = without.code in {"purpose-needed", "reference-needed"}
        if needed == (kind == "home" and visitor == "household"):
            wrong.append(f"without a purpose: {without}")
    return wrong, answer.status < 400


KNOWN = {
    kind: next(
        row.who_at(kind)
        for row in TABLE
        if (row.method, row.path) == ("GET", "/api/v1/cameras/{camera_id}")
    )
    for kind in ("shared", "watched", "home")
}


GUARDED = [row for row in TABLE if row.who != "everybody"]


@walks
async def test_what_counts_at_the_door_counts_no_more_when_it_is_taken_away(
    app: FastAPI, hub: Hub, house: House
) -> None:
    """Removed account, ended session, revoked token; made-up, malformed and stolen-looking keys."""
    things = await make_things(hub, house.people, HERE)
    everything = [RoleBinding(Role(role), "") for role in WATCHING]
    async with hub.database.transaction() as session:
        account = await hub.accounts.create(
            session,
            username="was-here",
            display_name="Was Here",
            password=password_hash(),
            roles=everything,
        )
        removed = await session_headers(hub, session, account.id)
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
            answer = await knock(app, row.method, things.place(row.url), headers, row.body)
            assert answer.status == 401, (row, headers, answer)


@walks
async def test_every_changing_route_wants_the_csrf_token_of_its_own_session(
    app: FastAPI, hub: Hub, house: House
) -> None:
    things = await make_things(hub, house.people, HERE)
    async with hub.database.transaction() as session:
        account = await hub.accounts.create(
            session,
            username="everything",
            display_name="Everything",
            password=password_hash(),
            roles=[RoleBinding(Role(role), "") for role in WATCHING],
        )
        mine = await session_headers(hub, session, account.id)
        second = await session_headers(hub, session, account.id)
    changing = [row for row in GUARDED if row.method not in {"GET", "WS"}]
    assert len(changing) > 10
    for row in changing:
        for token in (None, "", "0" * 64, second[CSRF_HEADER]):
            headers = {"Cookie": mine["Cookie"]} | ({} if token is None else {CSRF_HEADER: token})
            answer = await knock(app, row.method, things.place(row.url), headers, row.body)
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
