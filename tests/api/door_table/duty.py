"""Areas, departments, duty, and who is told of what."""

from tests.api.door_table.rows import ADMIN, AREAS, DISPATCH, FIELD, SEES_CAMERA, SETS_DUTY, Row

DUTY = [
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
]
