"""The door's table: every route and WebSocket, and who gets through it.

One line a route: method, path, who. `who` names roles (and `token:scope` for service tokens), or is
"everybody" (no sign-in) or "signed in"; "" is nobody by a role. `things` marks routes to one
thing: they let in only where the thing lies in an area in which the role is held. A route without
a line here fails `test_one_door`.

`who` is about a camera in a public space. Routes to a camera or a picture say as well who gets
through when it looks at a `shared` space, at one that is open to its residents (`watched`; the same
if left out), or into a `home`. There `household` lives there, `ROLE+share` holds that role and a
live share grant of this camera, `ROLE+alarm` holds it and answers an alarm that has opened this
camera. A route with `purpose` is asked with one, and again without: then nobody but the
household gets a picture.
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
AREAS = "duty_staff operator supervisor patrol department auditor administrator"
SETS_DUTY = "supervisor administrator"
DISPATCH = "duty_staff supervisor auditor administrator"
PLAYS_BACK = "duty_staff operator supervisor household"
NOBODY = "00000000-0000-7000-8000-000000000000"

# Consent. Whoever configures or audits gets no picture, whatever a household gives them.
WATCHERS = ("resident", "duty_staff", "patrol", "department", "operator", "supervisor")
SHARED_WITH = " ".join(f"{role}+share" for role in WATCHERS)
ANSWERS = "duty_staff+alarm supervisor+alarm"
KEEPS_HOMES = "administrator administrator+share administrator+alarm"
AUDITS_HOMES = "auditor auditor+share auditor+alarm"
KNOWS_HOME = f"household {KEEPS_HOMES} {AUDITS_HOMES} {SHARED_WITH} " + " ".join(
    f"{role}+alarm" for role in WATCHERS
)


@dataclass(frozen=True)
class Row:
    """One route, and who gets through it."""

    method: str
    path: str
    who: str
    things: bool = False
    body: object = None
    shared: str | None = None
    watched: str | None = None
    home: str | None = None
    purpose: str = ""

    @property
    def changes(self) -> bool:
        """Whether whoever gets through changes something."""
        return self.method not in {"GET", "WS"}

    @property
    def url(self) -> str:
        """The path with the purpose in it, if the route needs one."""
        return f"{self.path}?{self.purpose}" if self.purpose else self.path

    def who_at(self, kind: str) -> str:
        """Return who gets through at a shared, watched or home place."""
        shared = self.who if self.shared is None else self.shared
        if kind == "home":
            return shared if self.home is None else self.home
        return self.watched if kind == "watched" and self.watched is not None else shared


TABLE = [
    # The only routes without sign-in.
    Row("GET", "/api/v1/health/live", "everybody"),
    Row("GET", "/api/v1/health/ready", "everybody"),
    Row("GET", "/api/v1/openapi.json", "everybody"),
    Row("GET", "/api/v1/asyncapi.json", "everybody"),
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
    # Other systems that are told what changes.
    # How people are told.
    Row("GET", "/api/v1/gateways", f"auditor {ADMIN}"),
    Row(
        "POST",
        "/api/v1/gateways",
        ADMIN,
        body={
            "channel": "sms",
            "name": "Provider",
            "kind": "http",
            "url": "https://sms.example.org/send",
            "area": "demo/here",
        },
    ),
    Row("PATCH", "/api/v1/gateways/{gateway_id}", ADMIN, things=True, body={}),
    Row("DELETE", "/api/v1/gateways/{gateway_id}", ADMIN, things=True),
    Row(
        "POST", "/api/v1/gateways/{gateway_id}/test", ADMIN, things=True, body={"to": "13800138000"}
    ),
    Row("POST", "/api/v1/gateways/{gateway_id}/callbacks", "everybody", body={}),
    Row("GET", "/api/v1/incidents/{incident_id}/deliveries", SEES_INCIDENT, things=True),
    Row("GET", "/api/v1/account/contact-points", "signed in"),
    Row(
        "POST",
        "/api/v1/account/contact-points",
        "signed in",
        body={"channel": "sms", "address": "13800138000"},
    ),
    Row(
        "POST", "/api/v1/account/contact-points/{point_id}/verify", "signed in", body={"code": "1"}
    ),
    Row("DELETE", "/api/v1/account/contact-points/{point_id}", "signed in"),
    Row("GET", "/api/v1/account/push", "signed in"),
    Row("POST", "/api/v1/account/push", "signed in", body={}),
    Row("DELETE", "/api/v1/account/push", "signed in", body={"endpoint": "https://push.example"}),
    Row("GET", "/api/v1/households/{household_id}/contacts", "household", things=True),
    Row(
        "POST",
        "/api/v1/households/{household_id}/contacts",
        "household",
        things=True,
        body={"name": "Wang", "phone": "13800138000"},
    ),
    Row(
        "DELETE",
        "/api/v1/households/{household_id}/contacts/{contact_id}",
        "household",
        things=True,
    ),
    Row("GET", "/api/v1/contact-consents/{token}", "everybody"),
    Row("POST", "/api/v1/contact-consents/{token}", "everybody", body={"agree": True}),
    Row("GET", "/api/v1/answers/{token}", "everybody"),
    Row("POST", "/api/v1/answers/{token}", "everybody", body={"answer": "seen"}),
    Row("GET", "/api/v1/webhooks", f"auditor {ADMIN}"),
    Row(
        "POST",
        "/api/v1/webhooks",
        ADMIN,
        body={"name": "w", "url": "https://example.org/hook", "area": "demo/here"},
    ),
    Row("PATCH", "/api/v1/webhooks/{webhook_id}", ADMIN, things=True, body={}),
    Row("POST", "/api/v1/webhooks/{webhook_id}/secret", ADMIN, things=True),
    Row("POST", "/api/v1/webhooks/{webhook_id}/test", ADMIN, things=True),
    Row("DELETE", "/api/v1/webhooks/{webhook_id}", ADMIN, things=True),
    # Why somebody may or may not.
    Row(
        "POST",
        "/api/v1/access/explanations",
        "auditor administrator",
        body={"username": "the-patrol", "action": "camera.list", "resource": "area:demo/here"},
    ),
    # Who looked.
    Row("GET", "/api/v1/view-records", "auditor"),
    # Homes: what is the household's own is nobody's by a role.
    Row("GET", "/api/v1/households", ADMIN),
    Row("POST", "/api/v1/households", ADMIN, body={"name": "Flat 1204", "area": "demo/here"}),
    Row(
        "POST",
        "/api/v1/households/{household_id}/members",
        f"{ADMIN} household",
        things=True,
        body={"username": "nobody-at-all"},
    ),
    Row(
        "DELETE", "/api/v1/households/{household_id}/members/{account_id}", "household", things=True
    ),
    Row("POST", "/api/v1/households/{household_id}/close", ADMIN, things=True),
    Row("GET", "/api/v1/home", "resident"),
    Row("GET", "/api/v1/grants", "signed in"),
    Row("POST", "/api/v1/grants", "household"),
    Row("POST", "/api/v1/grants/{grant_id}/withdraw", "household", things=True),
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
    Row("GET", "/api/v1/exports", "duty_staff operator supervisor auditor household"),
    Row(
        "POST",
        "/api/v1/exports",
        "duty_staff operator supervisor household",
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
    # What the second person looks at is made of a home's only where its household asks for it.
    Row("POST", "/api/v1/exports/{export_id}/previews", "supervisor", things=True),
    Row("GET", "/api/v1/exports/{export_id}/previews/{number}", "supervisor", things=True),
    # What is recorded, what is kept under lock, and the disks.
    Row(
        "GET",
        "/api/v1/cameras/{camera_id}/recordings",
        "operator supervisor",
        things=True,
        shared="duty_staff supervisor",
        home="household",
    ),
    Row(
        "GET",
        "/api/v1/cameras/{camera_id}/recordings/days",
        "operator supervisor",
        things=True,
        shared="duty_staff supervisor",
        home="household",
    ),
    Row("GET", "/api/v1/recordings/locks", PLAYS_BACK),
    Row(
        "POST",
        "/api/v1/recordings/locks",
        PLAYS_BACK,
        body={
            "camera_id": NOBODY,
            "from": "2026-01-01T07:00:00Z",
            "to": "2026-01-01T07:10:00Z",
            "reason": "A theft.",
            "expires_at": "2026-01-08T08:00:00Z",
        },
    ),
    Row(
        "PATCH",
        "/api/v1/recordings/locks/{lock_id}",
        "supervisor",
        things=True,
        body={"expires_at": "2026-02-20T08:00:00Z", "reason": "The court asks."},
    ),
    Row(
        "DELETE",
        "/api/v1/recordings/locks/{lock_id}",
        "supervisor",
        things=True,
    ),
    Row("GET", "/api/v1/storage", "supervisor auditor administrator"),
    Row("POST", "/api/v1/storage/checks", "administrator", body={}),
    Row("GET", "/api/v1/storage/checks/{check_id}", "administrator"),
    # Plans: a home on one is told by the camera itself, to whom may know of it.
    Row("GET", "/api/v1/plans", SEES_CAMERA),
    Row("POST", "/api/v1/plans", ADMIN),
    Row("GET", "/api/v1/plans/{plan_id}", SEES_CAMERA, things=True),
    Row("PATCH", "/api/v1/plans/{plan_id}", ADMIN, things=True, body={"version": 1}),
    Row("GET", "/api/v1/plans/{plan_id}/image", SEES_CAMERA, things=True),
    Row("PUT", "/api/v1/plans/{plan_id}/image", ADMIN, things=True),
    Row("DELETE", "/api/v1/plans/{plan_id}", ADMIN, things=True),
    # Recordings played back: a playback belongs to one sign-in, and to nobody by a role.
    Row(
        "POST",
        "/api/v1/playbacks",
        PLAYS_BACK,
        body={
            "camera_ids": [NOBODY],
            "from": "2026-01-01T07:00:00Z",
            "to": "2026-01-01T08:00:00Z",
            "purpose": "case",
            "reference": "case 1",
        },
    ),
    Row("GET", "/api/v1/playbacks/{playback_id}/segments", PLAYS_BACK),
    Row("GET", "/api/v1/playbacks/{playback_id}/segments/{segment_id}/init", PLAYS_BACK),
    Row("GET", "/api/v1/playbacks/{playback_id}/segments/{segment_id}/media", PLAYS_BACK),
    Row("GET", "/api/v1/playbacks/{playback_id}/thumbnail", PLAYS_BACK),
    Row("DELETE", "/api/v1/playbacks/{playback_id}", PLAYS_BACK),
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
    # The list shows each what they may know of: to most residents nothing.
    Row("GET", "/api/v1/cameras", f"{SEES_CAMERA} resident patrol department token:camera.list"),
    Row("POST", "/api/v1/cameras", ADMIN),
    Row("POST", "/api/v1/cameras/probe", ADMIN),
    Row(
        "GET",
        "/api/v1/cameras/{camera_id}/health",
        f"{SEES_CAMERA} token:camera.read",
        things=True,
        shared=f"{SEES_CAMERA} token:camera.read",
        watched=f"{SEES_CAMERA} resident token:camera.read",
        home=KNOWS_HOME,
    ),
    Row(
        "GET",
        "/api/v1/cameras/{camera_id}",
        f"{SEES_CAMERA} token:camera.read",
        things=True,
        shared=f"{SEES_CAMERA} token:camera.read",
        watched=f"{SEES_CAMERA} resident token:camera.read",
        home=KNOWS_HOME,
    ),
    # Who lives there may switch the camera off and on, and change nothing else.
    Row(
        "PATCH",
        "/api/v1/cameras/{camera_id}",
        ADMIN,
        things=True,
        body={"version": 1},
        shared=ADMIN,
        home=f"{KEEPS_HOMES} household",
    ),
    Row(
        "DELETE",
        "/api/v1/cameras/{camera_id}",
        ADMIN,
        things=True,
        shared=ADMIN,
        home=f"{KEEPS_HOMES} household",
    ),
    # Many at once.
    Row(
        "PATCH",
        "/api/v1/cameras",
        ADMIN,
        body={"ids": [NOBODY], "set": {"analyse": False}},
    ),
    Row("POST", "/api/v1/cameras/import", ADMIN),
    Row("GET", "/api/v1/cameras/imports/{job_id}", ADMIN),
    Row("DELETE", "/api/v1/cameras/imports/{job_id}", ADMIN),
    # Searching for cameras; nothing is added by it.
    Row(
        "POST",
        "/api/v1/camera-discoveries",
        ADMIN,
        body={"multicast": False, "ranges": ["192.0.2.1/32"]},
    ),
    Row("GET", "/api/v1/camera-discoveries/{job_id}", ADMIN),
    Row("DELETE", "/api/v1/camera-discoveries/{job_id}", ADMIN),
    # The camera's own settings.
    Row(
        "GET",
        "/api/v1/cameras/{camera_id}/device",
        ADMIN,
        things=True,
        shared=ADMIN,
        home=KEEPS_HOMES,
    ),
    Row(
        "PUT",
        "/api/v1/cameras/{camera_id}/encoders/{token}",
        ADMIN,
        things=True,
        body={"fit": "sub"},
        shared=ADMIN,
        home=KEEPS_HOMES,
    ),
    Row(
        "POST",
        "/api/v1/cameras/{camera_id}/clock",
        ADMIN,
        things=True,
        body={"mode": "manual"},
        shared=ADMIN,
        home=KEEPS_HOMES,
    ),
    Row(
        "POST",
        "/api/v1/cameras/{camera_id}/reboot",
        ADMIN,
        things=True,
        shared=ADMIN,
        home=KEEPS_HOMES,
    ),
    # Turning it: who sees it live, but of a home the household only.
    Row(
        "GET",
        "/api/v1/cameras/{camera_id}/ptz",
        "operator supervisor",
        things=True,
        shared="duty_staff supervisor",
        home="household",
    ),
    Row(
        "POST",
        "/api/v1/cameras/{camera_id}/ptz",
        "operator supervisor",
        things=True,
        body={"op": "stop"},
        shared="duty_staff supervisor",
        home="household",
    ),
    Row(
        "GET",
        "/api/v1/cameras/{camera_id}/snapshot",
        "operator supervisor",
        things=True,
        purpose="purpose=case&reference=A-2026-17",
        shared="duty_staff supervisor",
        home=f"household {SHARED_WITH} {ANSWERS}",
    ),
    Row(
        "WS",
        "/api/v1/cameras/{camera_id}/live",
        "operator supervisor",
        things=True,
        shared="duty_staff supervisor",
        watched="duty_staff supervisor resident",
        home=f"household {SHARED_WITH} {ANSWERS}",
    ),
    Row(
        "GET",
        "/api/v1/cameras/{camera_id}/zones",
        SEES_ZONES,
        things=True,
        shared=SEES_ZONES,
        home=f"household {KEEPS_HOMES}",
    ),
    Row(
        "PUT",
        "/api/v1/cameras/{camera_id}/zones",
        "supervisor administrator",
        things=True,
        body={"version": 0, "zones": []},
        shared="supervisor administrator",
        home=KEEPS_HOMES,
    ),
    Row(
        "PUT",
        "/api/v1/cameras/{camera_id}/masks",
        "supervisor",
        things=True,
        body={"version": 1, "masks": []},
        shared="supervisor",
        home="household",
    ),
    Row("POST", "/api/v1/workers/{name}/heartbeat", "token:worker.heartbeat"),
    Row("POST", "/api/v1/workers/{name}/segments", "token:worker.heartbeat"),
    # Areas, departments, duty, and who is told of what.
    Row("GET", "/api/v1/areas", AREAS),
    # Of the cameras that the caller may see: to some that is none.
    Row(
        "GET",
        "/api/v1/areas/health",
        f"{SEES_CAMERA} resident patrol department token:camera.read",
    ),
    Row("POST", "/api/v1/areas", ADMIN, body={"path": "demo/here/cell", "name": "Cell"}),
    Row("PATCH", "/api/v1/areas/{area:path}", ADMIN, things=True, body={"name": "Other"}),
    Row("DELETE", "/api/v1/areas/{area:path}", ADMIN, things=True),
    Row("GET", "/api/v1/departments", AREAS),
    Row("POST", "/api/v1/departments", ADMIN, body={"name": "Waterworks", "area": "demo/here"}),
    Row("PATCH", "/api/v1/departments/{department_id}", ADMIN, things=True, body={"name": "X"}),
    Row("DELETE", "/api/v1/departments/{department_id}", ADMIN, things=True),
    Row(
        "PUT",
        "/api/v1/departments/{department_id}/members",
        ADMIN,
        things=True,
        body={"account_ids": []},
    ),
    Row("GET", "/api/v1/duty", AREAS),
    Row("GET", "/api/v1/rotas", AREAS),
    Row(
        "POST",
        "/api/v1/rotas",
        SETS_DUTY,
        body={"name": "Nights", "area": "demo/here", "post": "duty_staff"},
    ),
    Row("PATCH", "/api/v1/rotas/{rota_id}", SETS_DUTY, things=True, body={"name": "Days"}),
    Row("DELETE", "/api/v1/rotas/{rota_id}", SETS_DUTY, things=True),
    Row("PUT", "/api/v1/rotas/{rota_id}/slots", SETS_DUTY, things=True, body={"slots": []}),
    Row(
        "POST",
        "/api/v1/rotas/{rota_id}/overrides",
        SETS_DUTY,
        things=True,
        body={
            "from_at": "2026-01-01T08:00:00Z",
            "until_at": "2026-01-02T08:00:00Z",
            "account_id": "00000000-0000-7000-8000-000000000000",
        },
    ),
    Row("DELETE", "/api/v1/rotas/{rota_id}/overrides/{override_id}", SETS_DUTY, things=True),
    Row(
        "POST",
        "/api/v1/rotas/{rota_id}/hand-overs",
        FIELD,
        things=True,
        body={"to_id": "00000000-0000-7000-8000-000000000000"},
    ),
    # Between the one who goes and the one who comes: no role confirms for them.
    Row("POST", "/api/v1/hand-overs/{hand_over_id}/give", "", things=True),
    Row("POST", "/api/v1/hand-overs/{hand_over_id}/take", "", things=True),
    Row(
        "POST",
        "/api/v1/hand-overs/{hand_over_id}/refuse",
        "",
        things=True,
        body={"reason": "ill"},
    ),
    Row("GET", "/api/v1/dispatch-policies", DISPATCH),
    # For the whole site: who administers a part of it may not.
    Row("PUT", "/api/v1/dispatch-policies", "", body={"version": 0, "policies": []}),
    Row("POST", "/api/v1/dispatch-policies/check", DISPATCH, body={"text": ""}),
    Row(
        "POST",
        "/api/v1/dispatch-policies/forecast",
        DISPATCH,
        body={"kind": "alarm_fire", "severity": "extreme", "area": "demo/here"},
    ),
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
        shared=SEES_PICTURE,
        home=f"household {ANSWERS}",
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
        "/api/v1/incidents/{incident_id}/triage",
        WORKERS,
        things=True,
        body={"version": 1, "severity": "severe", "note": "seen"},
    ),
    Row(
        "POST",
        "/api/v1/incidents/{incident_id}/dispatch",
        WORKERS,
        things=True,
        body={"version": 1, "assignee_id": NOBODY},
    ),
    Row(
        "POST",
        "/api/v1/incidents/{incident_id}/transfer",
        FIELD,
        things=True,
        body={"version": 1, "department_id": NOBODY, "reason": "theirs"},
    ),
    Row(
        "POST",
        "/api/v1/incidents/{incident_id}/send-back",
        FIELD,
        things=True,
        body={"version": 1, "reason": "not ours"},
    ),
    Row(
        "POST",
        "/api/v1/incidents/{incident_id}/verify",
        WORKERS,
        things=True,
        body={"version": 1, "passed": True, "note": "good"},
    ),
    Row(
        "POST",
        "/api/v1/incidents/{incident_id}/suspend",
        FIELD,
        things=True,
        body={"version": 1, "until": "2026-01-02T08:00:00Z", "reason": "parts"},
    ),
    Row(
        "POST",
        "/api/v1/incidents/{incident_id}/resume",
        FIELD,
        things=True,
        body={"version": 1},
    ),
    Row(
        "POST",
        "/api/v1/incidents/{incident_id}/reopen",
        WORKERS,
        things=True,
        body={"version": 1, "reason": "again"},
    ),
    Row(
        "POST",
        "/api/v1/incidents/{incident_id}/reject",
        WORKERS,
        things=True,
        body={"version": 1, "reason": "nothing"},
    ),
    Row(
        "POST",
        "/api/v1/incidents/{incident_id}/merge",
        WORKERS,
        things=True,
        body={"version": 1, "into_id": NOBODY, "reason": "one"},
    ),
    Row(
        "POST",
        "/api/v1/incidents/{incident_id}/unmerge",
        WORKERS,
        things=True,
        body={"version": 1, "reason": "two"},
    ),
    Row(
        "POST",
        "/api/v1/incidents/{incident_id}/whistle",
        f"{FIELD} operator",
        things=True,
        body={"reason": "too slow"},
    ),
    Row(
        "POST",
        "/api/v1/incidents/{incident_id}/progress",
        FIELD,
        things=True,
        body={"progress": "going", "minutes": 5},
    ),
    Row(
        "POST",
        "/api/v1/incidents/{incident_id}/photos",
        FIELD,
        things=True,
        body={},
    ),
    Row(
        "POST",
        "/api/v1/incidents/{incident_id}/notes",
        f"{FIELD} operator",
        things=True,
        body={"text": "seen"},
    ),
    # Alarms and what presses them. No role and no token of an area presses; what a household has
    # bound does (tests/api/test_alarms.py). Who lives there follows, and an alarm that was not
    # received is one that nobody else's answer tells apart.
    Row("POST", "/api/v1/alarms", ""),
    Row("GET", "/api/v1/alarms", "household"),
    Row("GET", "/api/v1/alarms/{alarm_id}", "household"),
    Row(
        "POST",
        "/api/v1/alarms/{alarm_id}/location",
        "household",
        body={"latitude": 30.5, "longitude": 114.3},
    ),
    Row("POST", "/api/v1/alarms/{alarm_id}/cancel", "household", body={}),
    Row("GET", "/api/v1/households/{household_id}/alarms", "household", things=True),
    Row("GET", "/api/v1/alarm-devices", "duty_staff supervisor auditor administrator"),
    Row("DELETE", "/api/v1/alarm-devices/{device_id}", ADMIN, things=True),
    Row("POST", "/api/v1/alarm-devices/pair", "everybody"),
    Row("GET", "/api/v1/alarm-devices/me", "household"),
    Row("POST", "/api/v1/alarm-devices/me/heartbeat", "household", body={}),
    Row("POST", "/api/v1/alarm-devices/me/push", "household", body={}),
    Row(
        "DELETE",
        "/api/v1/alarm-devices/me/push",
        "household",
        body={"endpoint": "https://push.example"},
    ),
    Row("GET", "/api/v1/households/{household_id}/alarm-devices", "household", things=True),
    Row(
        "POST",
        "/api/v1/households/{household_id}/alarm-devices",
        "household",
        things=True,
        body={"kind": "phone", "name": "Kitchen"},
    ),
    Row(
        "DELETE",
        "/api/v1/households/{household_id}/alarm-devices/{device_id}",
        "household",
        things=True,
    ),
    Row(
        "POST",
        "/api/v1/households/{household_id}/pairing-codes",
        "household",
        things=True,
        body={},
    ),
    Row(
        "GET",
        "/api/v1/events",
        "duty_staff operator supervisor patrol department administrator token:event.stream",
    ),
]
