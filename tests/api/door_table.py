"""The door's table: every route and WebSocket, and who gets through it.

One line a route: method, path, who. `who` names roles (and `token:scope` for service tokens), or is
"everybody" (no sign-in) or "signed in". "+ own area" marks routes to one thing: they let in
only where the thing lies in an area in which the role is held. A route without a line here fails
`test_one_door`.
"""

from dataclasses import dataclass

WORKERS = "duty_staff supervisor"
QUEUE = "duty_staff operator supervisor patrol department auditor"
FIELD = "duty_staff supervisor patrol department"
SEES_INCIDENT = "duty_staff operator supervisor patrol department auditor"
SEES_PICTURE = "duty_staff operator supervisor patrol department"
SEES_CAMERA = "duty_staff operator supervisor auditor administrator"
SEES_ZONES = "duty_staff operator supervisor administrator"
ADMIN = "administrator"


@dataclass(frozen=True)
class Row:
    """One route. `things` says that its path names a thing, which lies in an area."""

    method: str
    path: str
    who: str
    things: bool = False
    body: object = None


TABLE = [
    # The only routes without sign-in.
    Row("GET", "/api/v1/health/live", "everybody"),
    Row("GET", "/api/v1/health/ready", "everybody"),
    Row("GET", "/api/v1/openapi.json", "everybody"),
    Row("GET", "/api/v1/transparency", "everybody"),
    Row("POST", "/api/v1/sessions", "everybody"),
    Row("POST", "/api/v1/sessions/second-factor", "everybody"),
    Row("POST", "/api/v1/sessions/passkey/options", "everybody"),
    Row("POST", "/api/v1/sessions/passkey", "everybody"),
    Row("GET", "/api/v1/sessions/oidc", "everybody"),
    Row("GET", "/api/v1/sessions/oidc/start", "everybody"),
    Row("GET", "/api/v1/sessions/oidc/callback", "everybody"),
    Row("GET", "/assets/{name}", "everybody"),
    Row("GET", "/{path:path}", "everybody"),
    # The own session.
    Row("GET", "/api/v1/sessions/current", "signed in"),
    Row("DELETE", "/api/v1/sessions/current", "signed in"),
    Row("GET", "/api/v1/sessions", "signed in"),
    Row("DELETE", "/api/v1/sessions", "signed in"),
    Row("DELETE", "/api/v1/sessions/{session_id}", "signed in"),
    # The own account.
    Row("GET", "/api/v1/accounts/me", "signed in"),
    Row("PUT", "/api/v1/accounts/me/password", "signed in"),
    Row("POST", "/api/v1/accounts/me/totp", "signed in"),
    Row("POST", "/api/v1/accounts/me/totp/confirm", "signed in"),
    Row("DELETE", "/api/v1/accounts/me/totp", "signed in"),
    Row("POST", "/api/v1/accounts/me/recovery-codes", "signed in"),
    Row("POST", "/api/v1/accounts/me/passkeys/options", "signed in"),
    Row("POST", "/api/v1/accounts/me/passkeys", "signed in"),
    Row("PATCH", "/api/v1/accounts/me/passkeys/{passkey_id}", "signed in"),
    Row("DELETE", "/api/v1/accounts/me/passkeys/{passkey_id}", "signed in"),
    Row("POST", "/api/v1/accounts/me/oidc", "signed in"),
    Row("DELETE", "/api/v1/accounts/me/oidc", "signed in"),
    # Accounts and tokens.
    Row("GET", "/api/v1/accounts", ADMIN),
    Row(
        "POST",
        "/api/v1/accounts",
        ADMIN,
        body={
            "username": "somebody-new",
            "display_name": "Somebody",
            "password": "long enough for us",
            "roles": [{"role": "patrol", "area": "demo/here"}],
        },
    ),
    Row("PATCH", "/api/v1/accounts/{account_id}", ADMIN, things=True, body={}),
    Row("DELETE", "/api/v1/accounts/{account_id}/sessions", ADMIN, things=True),
    Row("DELETE", "/api/v1/accounts/{account_id}/second-factors", ADMIN, things=True),
    Row("GET", "/api/v1/tokens", ADMIN),
    Row(
        "POST",
        "/api/v1/tokens",
        ADMIN,
        body={"name": "a sensor", "scopes": ["signal.post"], "area": "demo/here"},
    ),
    Row("DELETE", "/api/v1/tokens/{token_id}", ADMIN, things=True),
    # Who looked.
    Row("GET", "/api/v1/view-records", "auditor"),
    # Homes: what is the household's own is nobody's by a role.
    Row("GET", "/api/v1/households", ADMIN),
    Row("POST", "/api/v1/households", ADMIN, body={"name": "Flat 1204", "area": "demo/here"}),
    Row(
        "POST",
        "/api/v1/households/{household_id}/members",
        ADMIN,
        things=True,
        body={"username": "nobody-at-all"},
    ),
    Row("DELETE", "/api/v1/households/{household_id}/members/{account_id}", "", things=True),
    Row("POST", "/api/v1/households/{household_id}/close", ADMIN, things=True),
    Row("GET", "/api/v1/home", "resident"),
    Row("GET", "/api/v1/grants", "signed in"),
    Row("POST", "/api/v1/grants", ""),
    Row("POST", "/api/v1/grants/{grant_id}/withdraw", "", things=True),
    Row("GET", "/api/v1/purposes", "signed in"),
    # The law in force, what residents learn, and seals.
    Row("GET", "/api/v1/law", "signed in"),
    Row("GET", "/api/v1/home/viewings", "resident"),
    Row("GET", "/api/v1/home/digest", "resident"),
    Row("GET", "/api/v1/seals", "supervisor auditor"),
    Row("POST", "/api/v1/seals", "supervisor"),
    Row("POST", "/api/v1/seals/{seal_id}/approve", "supervisor auditor", things=True),
    Row("POST", "/api/v1/seals/{seal_id}/lift", "supervisor auditor", things=True),
    # Exports. The file is for the one who asked for it: no role opens it.
    Row("GET", "/api/v1/exports", "duty_staff operator supervisor auditor"),
    Row(
        "POST",
        "/api/v1/exports",
        "duty_staff operator supervisor",
        body={
            "incident_id": "00000000-0000-7000-8000-000000000000",
            "purpose": "case",
            "reference": "case 1",
            "reason": "asked for by the court",
            "audience": "authority",
            "expires_in_days": 3,
        },
    ),
    Row(
        "GET",
        "/api/v1/exports/{export_id}",
        "duty_staff operator supervisor auditor",
        things=True,
    ),
    Row("POST", "/api/v1/exports/{export_id}/approve", "supervisor", things=True, body={}),
    Row(
        "POST",
        "/api/v1/exports/{export_id}/refuse",
        "supervisor",
        things=True,
        body={"note": "no reason given"},
    ),
    Row("POST", "/api/v1/exports/{export_id}/withdraw", "supervisor", things=True, body={}),
    Row("GET", "/api/v1/exports/{export_id}/file", "", things=True),
    # The ledger.
    Row("GET", "/api/v1/ledger", "auditor"),
    Row("GET", "/api/v1/ledger/head", "auditor"),
    Row("GET", "/api/v1/ledger/checkpoint", "auditor"),
    Row("POST", "/api/v1/ledger/verifications", "auditor"),
    Row("GET", "/api/v1/ledger/verifications/{verification_id}", "auditor"),
    # The state of the site.
    Row("GET", "/api/v1/metrics", "token:metrics.read"),
    Row("GET", "/api/v1/system", "duty_staff operator supervisor administrator token:system.read"),
    # Cameras. The camera of the walk looks at a public space.
    Row("GET", "/api/v1/cameras", f"{SEES_CAMERA} token:camera.list"),
    Row("POST", "/api/v1/cameras", ADMIN),
    Row("POST", "/api/v1/cameras/probe", ADMIN),
    Row("GET", "/api/v1/cameras/{camera_id}", f"{SEES_CAMERA} token:camera.read", things=True),
    Row("PATCH", "/api/v1/cameras/{camera_id}", ADMIN, things=True, body={"version": 1}),
    Row("DELETE", "/api/v1/cameras/{camera_id}", ADMIN, things=True),
    Row("GET", "/api/v1/cameras/{camera_id}/snapshot", "operator supervisor", things=True),
    Row("WS", "/api/v1/cameras/{camera_id}/live", "operator supervisor", things=True),
    Row("GET", "/api/v1/cameras/{camera_id}/zones", SEES_ZONES, things=True),
    Row(
        "PUT",
        "/api/v1/cameras/{camera_id}/zones",
        "supervisor administrator",
        things=True,
        body={"version": 0, "zones": []},
    ),
    Row(
        "PUT",
        "/api/v1/cameras/{camera_id}/masks",
        "supervisor",
        things=True,
        body={"version": 1, "masks": []},
    ),
    Row("POST", "/api/v1/workers/{name}/heartbeat", "token:worker.heartbeat"),
    # Signals and incidents.
    Row("POST", "/api/v1/signals", "token:signal.post"),
    Row("GET", "/api/v1/incidents", f"{QUEUE} token:incident.list"),
    Row(
        "GET",
        "/api/v1/incidents/{incident_id}",
        f"{SEES_INCIDENT} token:incident.read",
        things=True,
    ),
    Row(
        "GET",
        "/api/v1/incidents/{incident_id}/signals",
        f"{SEES_INCIDENT} token:incident.read",
        things=True,
    ),
    Row(
        "GET",
        "/api/v1/incidents/{incident_id}/attachments/{attachment_id}",
        SEES_PICTURE,
        things=True,
    ),
    Row(
        "POST",
        "/api/v1/incidents/{incident_id}/acknowledge",
        FIELD,
        things=True,
        body={"version": 1},
    ),
    Row("POST", "/api/v1/incidents/{incident_id}/handle", FIELD, things=True, body={"version": 1}),
    Row(
        "POST",
        "/api/v1/incidents/{incident_id}/feedback",
        FIELD,
        things=True,
        body={"version": 1, "note": "done"},
    ),
    Row(
        "POST",
        "/api/v1/incidents/{incident_id}/close",
        WORKERS,
        things=True,
        body={"version": 1, "note": "done", "resolution": "handled"},
    ),
    Row(
        "POST",
        "/api/v1/incidents/{incident_id}/notes",
        f"{FIELD} operator",
        things=True,
        body={"text": "seen"},
    ),
    Row(
        "GET",
        "/api/v1/events",
        "duty_staff operator supervisor patrol department administrator token:event.stream",
    ),
]
