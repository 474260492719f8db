"""Service tokens on the wire."""

from datetime import datetime
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from access.tokens.models import ServiceToken


class TokenCreate(BaseModel):
    """A new token."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=200)
    scopes: list[str] = Field(min_length=1, max_length=20)
    area: str = Field(default="", max_length=200)
    expires_at: AwareDatetime | None = None


class TokenOut(BaseModel):
    """A token without its secret."""

    id: UUID
    name: str
    scopes: list[str]
    area: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, token: ServiceToken) -> "TokenOut":
        """Return `token` for the wire."""
        return cls.model_validate(token, from_attributes=True)


class TokenIssued(TokenOut):
    """A token just made: the only time that its secret is shown."""

    token: str
