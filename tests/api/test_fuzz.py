"""Whatever the description allows, and what it does not, answered as it says: by schemathesis.

Each operation gets a few cases for each kind of caller, always the same ones; `make fuzz` sets
FUZZ_EXAMPLES and gives many, new each time.
"""

import asyncio
import os
from collections import Counter
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from access.policy.types import Role, RoleBinding
from api.app import openapi_document
from api.door import COOKIE, CSRF_HEADER
from api.hub import Hub
from tests.api.door_people import HERE, Things, make_people, make_things
from tests.support.http import LiveServer, password_hash

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "1"))
ENDLESS = {("get", "/api/v1/events")}
DIALS = {("post", "/api/v1/cameras/probe")}
"""Leads the hub to a device, which is another matter: tests/camera_hub."""

CALLERS = ("administrator", "supervisor", "resident", "service")
CHECKS = [content_type_conformance, response_schema_conformance, status_code_conformance]


async def headers_of(hub: Hub, caller: str) -> dict[str, str]:
    """Sign in anew: what is fuzzed may have ended the session before."""
    async with hub.database.transaction() as session:
        if caller == "service":
            scopes = ["signal.post", "worker.heartbeat", "metrics.read"]
            _, secret = await hub.tokens.issue(session, name="fuzz", scopes=scopes)
            return {"Authorization": f"Bearer {secret}"}
        name = f"fuzz-{caller}-{next(_numbers)}"
        account = await hub.accounts.create(
            session,
            username=name,
            display_name=name,
            password=password_hash(),
            roles=[RoleBinding(Role(caller), "")],
        )
        opened = await hub.sessions.open(
            session, account.id, address="127.0.0.1", user_agent="schemathesis"
        )
    return {"Cookie": f"{COOKIE}={opened.token}", CSRF_HEADER: opened.csrf_token}


_numbers = iter(range(10**9))


class Fuzz:
    """One run over every operation."""

    def __init__(self, server: LiveServer, things: Things, loop: Any) -> None:
        self.url = server.url
        self.hub = server.hub
        self.things = {name: str(value) for name, value in things.ids.items()}
        self.loop = loop
        self.statuses: Counter[int] = Counter()
        self.failures: dict[str, str] = {}

    def run(self) -> None:
        """Blocks; the server answers on the event loop meanwhile."""
        schema = schemathesis.openapi.from_dict(openapi_document())
        for found in schema.get_all_operations():
            operation = found.ok()
            if (operation.method, operation.path) in ENDLESS | DIALS:
                continue
            for caller in CALLERS:
                self.one(operation, caller)

    def one(self, operation: Any, caller: str) -> None:
        headers = asyncio.run_coroutine_threadsafe(headers_of(self.hub, caller), self.loop).result()

        @hypothesis_settings(
            max_examples=EXAMPLES,
            derandomize="FUZZ_EXAMPLES" not in os.environ,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(), real=st.booleans())
        def knock(case: Any, real: bool) -> None:
            if real:
                for name in case.path_parameters or {}:
                    if name in self.things:
                        case.path_parameters[name] = self.things[name]
            if isinstance(case.body, dict) and "address" in case.body:
                case.body["probe"] = False
            answer = case.call(base_url=self.url, headers=headers, timeout=20)
            self.statuses[answer.status_code] += 1
            excused = answer.status_code == 503 and (
                "retry-after" in answer.headers or b'"no-picture"' in answer.content
            )
            checks = CHECKS if excused else [*CHECKS, not_a_server_error]
            case.validate_response(answer, checks=checks)

        try:
            knock()
        except (FailureGroup, AssertionError, httpx.HTTPError) as failure:
            self.failures[f"{caller} {operation.method.upper()} {operation.path}"] = _told(failure)


def _told(failure: BaseException) -> str:
    inner = getattr(failure, "exceptions", (failure,))
    return "\n".join(str(e) for e in inner)[:1500]


@pytest.mark.hypothesis
@pytest.mark.timeout(0 if "FUZZ_EXAMPLES" in os.environ else 120)
async def test_the_interface_answers_as_it_is_described(server: LiveServer) -> None:
    things = await make_things(server.hub, await make_people(server.hub), HERE)
    fuzz = Fuzz(server, things, asyncio.get_running_loop())
    await asyncio.to_thread(fuzz.run)
    told = "\n\n".join(f"{name}: {text}" for name, text in sorted(fuzz.failures.items()))
    assert not fuzz.failures, told
    assert fuzz.statuses[200] > 20, "some of it is answered"
    assert len(fuzz.statuses) > 4
