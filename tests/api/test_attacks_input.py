"""Names that look like something else, numbers and nestings without end, paths that lead out."""

import asyncio
import json
from typing import Any

import httpx
import orjson

from access.policy.types import Role
from api.hub import Hub
from tests.governance.support import signal
from tests.support.http import LiveServer, ServiceClient, SignIn

EVENT = {"Content-Type": "application/cloudevents+json"}
CAMERA: dict[str, Any] = {
    "area": "demo/a", "source_kind": "rtsp", "probe": False,
    "address": "rtsp://viewer:s3cret@127.0.0.1:9/cam",
}  # fmt: skip
STRANGE_NAMES = (
    "../live", "%2e%2e/health", "..%2f..%2fetc%2fpasswd", "<script>alert(1)</script>",
    "'; DROP TABLE camera; --", "{{7*7}}", "${jndi:ldap://x}", "%s%n", "a/b?c#d", ".", "NULL",
    "/api/v1/accounts", "=cmd|' /C calc'!A0",
)  # fmt: skip


async def test_a_name_that_looks_like_a_route_stays_a_name(
    sign_in: SignIn, service_client: ServiceClient
) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    duty = await sign_in(Role.DUTY_STAFF)
    programs = await service_client(["signal.post"])
    for name in STRANGE_NAMES:
        made = await admin.post("/api/v1/cameras", json=CAMERA | {"name": name})
        assert made.status_code == 201, (name, made.text)
        camera = made.json()
        shown = await duty.get(f"/api/v1/cameras/{camera['id']}")
        if shown.status_code == 200:
            assert shown.json()["name"] == name
        assert shown.headers["content-type"] == "application/json" or shown.status_code == 404
        body = signal(camera_id=camera["id"], headline=name, zone_name=name)
        posted = await programs.post("/api/v1/signals", content=orjson.dumps(body), headers=EVENT)
        assert posted.status_code == 201, (name, posted.text)
    names = {camera["name"] for camera in (await admin.get("/api/v1/cameras")).json()["items"]}
    assert set(STRANGE_NAMES) <= names


async def test_a_name_that_hides_what_it_is_is_refused(sign_in: SignIn) -> None:
    """Text that turns around, controls a terminal, or cannot be stored."""
    admin = await sign_in(Role.ADMINISTRATOR)
    for text in ("a\u202eb", "a\u200bb", "a\0b", "a\x1b[2Jb", "a\u2028b", "\ud800"):
        body = json.dumps(CAMERA | {"name": text}).encode()
        made = await admin.post(
            "/api/v1/cameras", content=body, headers={"Content-Type": "application/json"}
        )
        assert made.status_code == 422, made.text
        assert made.json()["errors"]


DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
BODIES: list[bytes] = [
    b"[" * 200_000,
    DEEP,
    b'{"username":' + b"9" * 500_000 + b',"password":"x"}',
    b'{"username":1e999,"password":"x"}',
    b'{"username":"a\\u0000b","password":"x"}',
    b'{"username":"\\ud800","password":"x"}',
    b'{"username":"a","password":"x","__proto__":{"admin":true},"constructor":1}',
    b"\xff\xfe{}",
    b"NaN",
    b"",
]


async def test_json_without_end_or_sense_is_refused(
    client: httpx.AsyncClient, service_client: ServiceClient
) -> None:
    programs = await service_client(["signal.post"])
    for body in BODIES:
        for who, path in ((client, "/api/v1/sessions"), (programs, "/api/v1/signals")):
            headers = {"Content-Type": "application/json"}
            answer = await who.post(path, content=body, headers=headers)
            assert answer.status_code in {400, 401, 422}, (path, body[:40], answer.text[:200])
            assert answer.headers["content-type"] == "application/problem+json"


async def test_of_a_key_given_twice_one_counts_everywhere(
    service_client: ServiceClient, hub: Hub
) -> None:
    """What is checked is what is kept: the last, as every part of this house reads it."""
    programs = await service_client(["signal.post"], "demo/a")
    about = {"ce_type": "org.example.smoke", "event_key": "k", "camera_id": None}
    text = orjson.dumps(signal(**about, area="demo/a")).decode()
    twice = text.replace('"area":"demo/a"', '"area":"demo/a","area":"demo/b"')
    assert twice != text
    refused = await programs.post("/api/v1/signals", content=twice.encode(), headers=EVENT)
    assert refused.status_code == 403, "the area that counts is the one that is asked about"


async def test_a_parameter_given_twice_changes_nothing_that_was_checked(sign_in: SignIn) -> None:
    patrol = await sign_in(Role.PATROL, "demo/a")
    for query in ("limit=1&limit=100000", "state=open&state=no-such-state"):
        assert (await patrol.get(f"/api/v1/incidents?{query}")).status_code == 422


LEADS_OUT = (
    "/assets/../../../../etc/passwd",
    "/assets/..%2f..%2f..%2fetc%2fpasswd",
    "/assets/%2e%2e/%2e%2e/pyproject.toml",
    "/assets/....//....//etc/passwd",
    "/assets/%00",
    "/..%5c..%5cwindows%5cwin.ini",
    "/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "//etc/passwd",
    "/.git/config",
    "/.env",
    "/api/v1/../../../etc/passwd",
    "/api/v1/exports/..%2f..%2fsecret.key/file",
    "/api/v1/cameras/%2e%2e/snapshot",
)


async def test_no_path_leads_out(server: LiveServer, hub: Hub, sign_in: SignIn) -> None:
    supervisor = await sign_in(Role.SUPERVISOR)
    key = hub.settings.secret_key_file.read_bytes()
    for path in LEADS_OUT:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        cookie = supervisor.cookie_header["Cookie"]
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n"
        writer.write((head + "Connection: close\r\n\r\n").encode())
        answer = await reader.read()
        writer.close()
        status = int(answer.split()[1])
        assert status in {200, 400, 404, 422, 503}, (path, status)
        assert b"root:" not in answer
        assert b"[build-system]" not in answer
        assert b"repositoryformatversion" not in answer
        assert key not in answer
        if status == 200:
            assert b"<!doctype html" in answer.lower(), "the console's page, and nothing else"


async def test_methods_that_nobody_needs_are_not_offered(server: LiveServer) -> None:
    async with httpx.AsyncClient(base_url=server.url) as client:
        for method in ("TRACE", "CONNECT", "PROPFIND", "DEBUG", "PUT"):
            answer = await client.request(method, "/api/v1/sessions/current")
            assert answer.status_code in {401, 404, 405}, method
            assert "TRACE" not in answer.headers.get("allow", "")


async def test_no_answer_opens_the_interface_to_other_sites(server: LiveServer) -> None:
    """No CORS header at all: a preflight of another site gets none, and the request is refused."""
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as client:
        for method, path in (("OPTIONS", "/api/v1/sessions"), ("GET", "/api/v1/health/live")):
            answer = await client.request(method, path)
            assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_fields_that_are_not_offered_are_not_taken(sign_in: SignIn) -> None:
    """Mass assignment: who may change a name cannot change an id, an owner or a hash with it."""
    admin = await sign_in(Role.ADMINISTRATOR)
    made = await admin.post("/api/v1/cameras", json=CAMERA | {"name": "Gate"})
    camera = made.json()
    for field, value in (
        ("id", "0192f3a0-0000-7000-8000-000000000000"), ("password_sealed", "x"),
        ("deleted_at", "2026-01-01T00:00:00Z"), ("created_at", "2020-01-01T00:00:00Z"),
    ):  # fmt: skip
        body = {"version": camera["version"], "name": "Gate", field: value}
        answer = await admin.patch(f"/api/v1/cameras/{camera['id']}", json=body)
        if answer.status_code == 200:
            assert answer.json().get(field) == camera.get(field)
            camera = answer.json()
        else:
            assert answer.status_code == 422


async def test_pictures_are_not_kept_by_browsers_or_caches(
    sign_in: SignIn, service_client: ServiceClient
) -> None:
    """Also errors, and everything else of the interface: only the console's assets are kept."""
    duty = await sign_in(Role.DUTY_STAFF)
    nobody = "0192f3a0-0000-7000-8000-000000000000"
    for path in (f"cameras/{nobody}/snapshot", f"incidents/{nobody}/attachments/{nobody}",
                 "cameras", "incidents", "sessions/current"):  # fmt: skip
        answer = await duty.get(f"/api/v1/{path}")
        assert answer.headers["cache-control"] == "no-store", path
