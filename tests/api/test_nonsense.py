"""No route falls over what it is sent, whoever sends it. On PostgreSQL, which refuses more."""

import itertools
import json
from typing import Any

import pytest
from fastapi import FastAPI

from access.policy import Role, RoleBinding
from api.hub import Hub
from tests.api.door_knock import knock
from tests.api.door_people import HERE, PEOPLE, make_people, make_things, session_headers
from tests.api.door_table import TABLE
from tests.support.http import password_hash

# No account holds both: who decides sees no video.
DECIDING = [role for role in PEOPLE if role in {"administrator", "auditor"}]
WATCHING = [role for role in PEOPLE if role not in DECIDING]

STRANGE: list[Any] = [None, -1, 2**70, 1e400, "a\0b", "\ud83d", "x" * 5000, [], {"\0": "\0"}]
WHOLE: list[Any] = [None, True, "\0", [], ["\0"] * 3, {}, {"\0": "\0"}]


# These lead the hub to a device, which is another matter: tests/camera_hub.
DIALS = {"address", "username", "password", "source_kind", "main_profile", "sub_profile", "probe"}


def fields_of(app: FastAPI, method: str, path: str) -> set[str]:
    """Return the names that the body of this route may hold."""
    document = app.openapi()
    operation = document["paths"].get(path, {}).get(method.lower(), {})
    text = json.dumps(operation.get("requestBody", {}))
    names = set()
    for name, schema in document["components"]["schemas"].items():
        if f'"#/components/schemas/{name}"' in text:
            names |= set(schema.get("properties", {}))
    return names


@pytest.mark.parametrize("hub_url", ["postgresql"], indirect=True)
async def test_no_route_falls_over_nonsense(app: FastAPI, hub: Hub) -> None:
    headers = {}
    async with hub.database.transaction() as session:
        for name, roles in (("watching", WATCHING), ("deciding", DECIDING)):
            account = await hub.accounts.create(
                session,
                username=name,
                display_name=name,
                password=password_hash(),
                roles=[RoleBinding(Role(role), "") for role in roles],
            )
            headers[name] = await session_headers(hub, session, account.id)
        _, secret = await hub.tokens.issue(session, name="t", scopes=["signal.post"])
    bearer = {"Authorization": f"Bearer {secret}"}
    things = await make_things(hub, await make_people(hub), HERE)
    fallen = []
    for row in TABLE:
        if row.path.endswith(("/events", "/sessions/current", "/live", "/snapshot")):
            continue
        fields = fields_of(app, row.method, row.path)
        if "/cameras" in row.path:
            fields -= DIALS
        base = row.body if isinstance(row.body, dict) else {}
        asked: list[tuple[str, Any]] = []
        path = things.place(row.path)
        if row.method == "GET":
            asked.append((path, None))
        else:
            asked += [(path, body) for body in WHOLE]
            asked += [(path, base | {f: v}) for f, v in itertools.product(sorted(fields), STRANGE)]
        if row.things:
            # What cannot be an id, and a character that no store takes.
            asked += [(row.path, base), (row.path.replace("{", "%00{"), base)]
        office = set(row.who.split()) & set(DECIDING)
        keys = headers["deciding" if office else "watching"]
        if row.path.endswith("/signals") and row.method == "POST":
            keys = bearer
        for path, body in asked:
            answer = await knock(app, row.method, path, keys, body)
            if answer.status >= 500 and answer.code not in {"not-ready", ""}:
                fallen.append((row.method, path, body, answer))
    assert fallen == []
