"""How people and other systems are told."""

from tests.api.door_table.rows import ADMIN, SEES_INCIDENT, Row

TELLING = [
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
]
