"""Webhooks on the wire."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from governance.webhooks.models import Webhook


class WebhookCreate(BaseModel):
    """A new receiver. `types` as in CloudEvents without the prefix, e.g. `incident.opened`."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=200)
    url: str = Field(max_length=2000)
    types: list[str] = Field(default=[], max_length=20, description="Empty: all")
    area: str = Field(default="", max_length=200)


class WebhookUpdate(BaseModel):
    """What is to be changed. `active` true goes on where it stopped."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, max_length=200)
    url: str | None = Field(default=None, max_length=2000)
    types: list[str] | None = Field(default=None, max_length=20)
    active: bool | None = None


class WebhookOut(BaseModel):
    """A receiver without its secret. `behind`: events it has not been told yet, at most 1,000."""

    id: UUID
    name: str
    url: str
    types: list[str]
    area: str
    active: bool
    behind: int
    delivered: int
    missed: int
    failing_since: datetime | None
    next_try_at: datetime | None
    last_error: str
    last_ok_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, row: Webhook, behind: int) -> "WebhookOut":
        """Return `row` for the wire."""
        names = set(cls.model_fields) - {"behind"}
        return cls(behind=behind, **{name: getattr(row, name) for name in names})


class WebhookIssued(WebhookOut):
    """A receiver just made, or given a new secret: the only time that the secret is shown."""

    secret: str


class WebhookTested(BaseModel):
    """What a test event led to."""

    ok: bool
    status: int | None
    detail: str
