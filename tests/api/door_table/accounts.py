"""Who gets in, who may do what, who looked, and how the site is."""

from tests.api.door_table.rows import ADMIN, Row

ACCOUNTS = [
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
    # Why somebody may or may not.
    Row(
        "POST",
        "/api/v1/access/explanations",
        "auditor administrator",
        body={"username": "the-patrol", "action": "camera.list", "resource": "area:demo/here"},
    ),
    # Who looked.
    Row("GET", "/api/v1/view-records", "auditor"),
    # The ledger.
    Row("GET", "/api/v1/ledger", "auditor"),
    Row("GET", "/api/v1/ledger/head", "auditor"),
    Row("GET", "/api/v1/ledger/checkpoint", "auditor"),
    Row("POST", "/api/v1/ledger/verifications", "auditor"),
    Row("GET", "/api/v1/ledger/verifications/{verification_id}", "auditor"),
    # The state of the site.
    Row("GET", "/api/v1/metrics", "token:metrics.read"),
    Row("GET", "/api/v1/system", "duty_staff operator supervisor administrator token:system.read"),
]
