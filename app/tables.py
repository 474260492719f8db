"""Imports every module that defines a table, so that `Base.metadata` is whole."""

import importlib

from sqlalchemy import MetaData

from core.database import Base

TABLE_MODULES = (
    "access.accounts.models",
    "access.factors.models",
    "access.ledger.models",
    "access.oidc.models",
    "access.consent.models",
    "access.households.models",
    "access.digests.models",
    "access.jurisdictions.models",
    "access.seals.models",
    "access.sessions.models",
    "access.tokens.models",
    "access.views.models",
    "analytics.zones.models",
    "camera_hub.devices.models",
    "camera_hub.plans.models",
    "camera_hub.recording.index.models",
    "governance.alarms.models",
    "governance.areas.models",
    "governance.attachments.models",
    "governance.beats.models",
    "governance.contacts.models",
    "governance.deliveries.models",
    "governance.dispatch.models",
    "governance.duty.models",
    "governance.exports.models",
    "governance.incidents.models",
    "governance.outbox.models",
    "governance.signals.models",
    "governance.timers.models",
    "governance.webhooks.models",
)


def all_tables() -> MetaData:
    """Return the metadata of all tables of the product."""
    for name in TABLE_MODULES:
        importlib.import_module(name)
    return Base.metadata
