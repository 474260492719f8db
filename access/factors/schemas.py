"""The own account and its factors on the wire."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from access.accounts.schemas import RoleOut
from access.factors.models import Passkey


class PasskeyOut(BaseModel):
    """A passkey of the own account."""

    id: UUID
    name: str
    created_at: datetime
    last_used_at: datetime | None

    @classmethod
    def of(cls, row: Passkey) -> "PasskeyOut":
        """Return `row` for the wire."""
        return cls(
            id=row.id, name=row.name, created_at=row.created_at, last_used_at=row.last_used_at
        )


class PasswordSetByOther(BaseModel):
    """The last time that somebody else set the password."""

    at: datetime
    by: str


class OidcState(BaseModel):
    """Whether there is an identity provider, and whether the account is connected to it."""

    enabled: bool
    name: str
    linked: bool


class OwnAccountOut(BaseModel):
    """The own account as its holder sees it."""

    id: UUID
    username: str
    display_name: str
    roles: list[RoleOut]
    locale: str
    created_at: datetime
    password_changed_at: datetime
    totp: bool
    passkeys: list[PasskeyOut]
    recovery_codes_left: int
    must_change_password: bool
    password_set_by_other: PasswordSetByOther | None
    oidc: OidcState


class PasswordChange(BaseModel):
    """The present password and the one to come."""

    model_config = ConfigDict(extra="forbid")

    current: SecretStr = Field(max_length=1024)
    new: SecretStr = Field(max_length=1024)


class PasswordProof(BaseModel):
    """The present password: a session alone changes no factor."""

    model_config = ConfigDict(extra="forbid")

    password: SecretStr = Field(max_length=1024)


class TotpBegun(BaseModel):
    """What an authenticator app needs. Shown once; counts after a code of it is confirmed."""

    secret: str
    uri: str
    qr_svg: str


class CodeProof(BaseModel):
    """A code of the app."""

    model_config = ConfigDict(extra="forbid")

    code: SecretStr = Field(max_length=20)


class RecoveryCodesOut(BaseModel):
    """New recovery codes, shown once; earlier ones count no more."""

    recovery_codes: list[str]


class PasskeyAdd(BaseModel):
    """What `navigator.credentials.create` gave, and a name for the device."""

    model_config = ConfigDict(extra="forbid")

    challenge: str = Field(max_length=200)
    credential: dict[str, Any]
    name: str = Field(max_length=200)


class PasskeyAdded(PasskeyOut):
    """The new passkey; with the first factor also recovery codes, shown once."""

    recovery_codes: list[str] | None = None


class PasskeyRename(BaseModel):
    """A new name."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=200)


class GoTo(BaseModel):
    """Where the browser is to go on."""

    url: str
