"""Every action, what it is done to, and what a service token may be given."""

ACTIONS_BY_KIND: dict[str, tuple[str, ...]] = {
    "camera": (
        "camera.list",
        "camera.read",
        "camera.probe",
        "camera.create",
        "camera.update",
        "camera.switch",
        "camera.switch_on",
        "camera.delete",
        "camera.live",
        "camera.snapshot",
        "camera.mask",
        "zone.read",
        "zone.write",
        "recording.list",
        "recording.play",
        "recording.lock",
        "camera.ptz",
        "camera.configure",
    ),
    "incident": (
        "incident.list",
        "incident.read",
        "incident.image",
        "incident.acknowledge",
        "incident.handle",
        "incident.feedback",
        "incident.close",
        "incident.note",
        "incident.triage",
        "incident.dispatch",
        "incident.transfer",
        "incident.send_back",
        "incident.suspend",
        "incident.resume",
        "incident.reopen",
        "incident.merge",
        "incident.reject",
        "incident.whistle",
        "incident.progress",
        "incident.photo",
        "incident.deliveries",
    ),
    "export": ("export.request", "export.list", "export.approve", "export.download"),
    "household": (
        "household.list",
        "household.create",
        "household.update",
        "household.close",
        "household.alarm",
        "alarm.press",
        "alarm.follow",
    ),
    "grant": ("grant.list", "grant.give", "grant.withdraw"),
    "account": (
        "account.list",
        "account.create",
        "account.update",
        "account.grant",
        "account.reset",
    ),
    "site": (
        "session.read",
        "session.delete",
        "account.self",
        "token.list",
        "token.create",
        "token.delete",
        "signal.post",
        "event.stream",
        "worker.heartbeat",
        "view.list",
        "metrics.read",
        "system.read",
        "home.read",
        "viewing.read",
        "purpose.list",
        "law.read",
        "ledger.read",
        "ledger.verify",
        "seal.list",
        "seal.request",
        "seal.approve",
        "access.explain",
        "area.list",
        "area.write",
        "duty.read",
        "duty.write",
        "duty.hand_over",
        "dispatch.read",
        "dispatch.write",
        "gateway.list",
        "gateway.write",
        "webhook.list",
        "webhook.write",
        "device.list",
        "device.write",
        "camera.discover",
        "storage.read",
        "storage.check",
    ),
}
"""Every action, by the kind of thing it is done to."""

ACTIONS: frozenset[str] = frozenset(a for group in ACTIONS_BY_KIND.values() for a in group)

SCOPES: frozenset[str] = frozenset(
    {
        "signal.post",
        "alarm.press",
        "alarm.follow",
        "worker.heartbeat",
        "metrics.read",
        "system.read",
        "event.stream",
        "camera.list",
        "camera.read",
        "incident.list",
        "incident.read",
    }
)
"""What a service token may be given. Nothing here shows a picture or changes a right."""

CEDAR_TYPE = {
    "camera": "Camera",
    "zone": "Camera",
    "recording": "Camera",
    "incident": "Incident",
    "export": "Export",
    "household": "Household",
    "alarm": "Household",
    "grant": "Grant",
    "account": "Account",
    "area": "Site",
    "duty": "Site",
    "dispatch": "Site",
    "gateway": "Site",
    "webhook": "Site",
    "device": "Site",
    "storage": "Site",
    "session": "Site",
    "token": "Site",
    "signal": "Site",
    "event": "Site",
    "worker": "Site",
    "view": "Site",
    "metrics": "Site",
    "system": "Site",
    "home": "Site",
    "viewing": "Site",
    "purpose": "Site",
    "law": "Site",
    "ledger": "Site",
    "seal": "Site",
    "access": "Site",
}
CEDAR_TYPE_OF_ACTION = {
    action: "Site" if kind == "site" else CEDAR_TYPE[kind]
    for kind, actions in ACTIONS_BY_KIND.items()
    for action in actions
}
KIND_OF_ACTION = {
    action: "system" if kind == "site" else kind
    for kind, actions in ACTIONS_BY_KIND.items()
    for action in actions
}
PLACES = ("public_space", "shared_space", "home")
WITH_PLACE = frozenset({"Camera", "Incident", "Export"})
"""Types whose things show a kind of place."""
