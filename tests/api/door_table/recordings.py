"""What is recorded, kept, played back and handed out."""

from tests.api.door_table.rows import NOBODY, PLAYS_BACK, Row

RECORDINGS = [
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
]
