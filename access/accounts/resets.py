"""Passwords that somebody else has set: what follows from that for the homes of the holder."""

from datetime import datetime, timedelta

from access.accounts.models import Account

HOME_WAITS = timedelta(hours=24)
"""How long an account sees no home after somebody else has set its password."""


def reset_at(account: Account) -> datetime | None:
    """Return when somebody else last set the password of an account that was there already."""
    at = account.password_set_by_other_at
    return at if at is not None and at > account.created_at else None


def home_waits(account: Account, now: datetime) -> bool:
    """Say whether somebody else has set the password so lately that no home is shown."""
    at = reset_at(account)
    return at is not None and now < at + HOME_WAITS
