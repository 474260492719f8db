"""Homes, what a household alone decides, and what presses its alarm."""

from tests.api.door_table.rows import ADMIN, Row

HOMES = [
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
]
