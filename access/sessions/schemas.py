"""Sessions and the steps that lead to them, on the wire."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from access.accounts.schemas import RoleOut
from access.sessions.models import Session

Method = Literal["totp", "passkey", "recovery"]


class SignIn(BaseModel):
    """Username and password."""

    model_config = ConfigDict(extra="forbid")

    username: str = Field(max_length=128)
    password: SecretStr = Field(max_length=1024)


class SecondStep(BaseModel):
    """The answer to the second step: a code, or what `navigator.credentials.get` gave."""

    model_config = ConfigDict(extra="forbid")

    challenge: str = Field(max_length=200)
    method: Method
    code: SecretStr = Field(default=SecretStr(""), max_length=100)
    credential: dict[str, Any] | None = None


class PasskeySignIn(BaseModel):
    """The answer to `/sessions/passkey/options`."""

    model_config = ConfigDict(extra="forbid")

    challenge: str = Field(max_length=4000)
    credential: dict[str, Any]


class SignedInAccount(BaseModel):
    """The own account."""

    id: UUID
    username: str
    display_name: str
    roles: list[RoleOut]
    locale: str


class SessionOut(BaseModel):
    """The own session. `csrf_token` goes into `X-CSRF-Token` of every request that changes.

    `must` says what the account has to do before anything else is open to it.
    """

    account: SignedInAccount
    csrf_token: str
    actions: list[str]
    expires_at: datetime
    must: Literal["password-change-needed", "second-factor-needed"] | None = None


class SecondStepOut(BaseModel):
    """What is asked for after the password. No session exists yet."""

    challenge: str
    methods: list[Method]
    expires_at: datetime
    passkey_options: dict[str, Any] | None = None


class PasskeyOptionsOut(BaseModel):
    """What the browser's WebAuthn functions are called with, in their JSON form."""

    challenge: str
    options: dict[str, Any]


class OidcOffer(BaseModel):
    """Whether there is sign-in through an identity provider, and what the button says."""

    enabled: bool
    name: str


class OwnSessionOut(BaseModel):
    """A session of the own account."""

    id: UUID
    current: bool
    created_at: datetime
    last_seen_at: datetime
    address: str
    user_agent: str

    @classmethod
    def of(cls, row: Session, current: UUID | None) -> "OwnSessionOut":
        """Return `row` for the wire."""
        return cls(
            id=row.id,
            current=row.id == current,
            created_at=row.created_at,
            last_seen_at=row.last_seen_at,
            address=row.address,
            user_agent=row.user_agent,
        )
