"""Sessions on the wire."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from access.accounts.schemas import RoleOut


class SignIn(BaseModel):
    """Username and password."""

    model_config = ConfigDict(extra="forbid")

    username: str = Field(max_length=128)
    password: SecretStr = Field(max_length=1024)


class SignedInAccount(BaseModel):
    """The own account."""

    id: UUID
    username: str
    display_name: str
    roles: list[RoleOut]
    locale: str


class SessionOut(BaseModel):
    """The own session. `csrf_token` goes into `X-CSRF-Token` of every request that changes."""

    account: SignedInAccount
    csrf_token: str
    actions: list[str]
    expires_at: datetime
