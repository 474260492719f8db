"""Accounts on the wire."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from access.accounts.models import Account
from access.policy.types import Role, RoleBinding


class RoleInput(BaseModel):
    """A role held in an area; the area "" is the whole site."""

    model_config = ConfigDict(extra="forbid")

    role: Role
    area: str = Field(default="", max_length=200)

    def binding(self) -> RoleBinding:
        """Return it as the policy knows it."""
        return RoleBinding(self.role, self.area)


class RoleOut(BaseModel):
    """A role held in an area; the area "" is the whole site."""

    role: Role
    area: str


class AccountBrief(BaseModel):
    """Who somebody is, where only the name is needed."""

    id: UUID
    username: str
    display_name: str


class AccountOut(BaseModel):
    """An account as an administrator sees it."""

    id: UUID
    username: str
    display_name: str
    roles: list[RoleOut]
    locale: str
    active: bool
    created_at: datetime
    totp: bool
    passkeys: int
    must_change_password: bool

    @classmethod
    def of(cls, account: Account, *, totp: bool, passkeys: int) -> "AccountOut":
        """Return `account` for the wire, with whether it has TOTP and its number of passkeys."""
        return cls(
            id=account.id,
            username=account.username,
            display_name=account.display_name,
            roles=[RoleOut(role=Role(row.role), area=row.area) for row in account.roles],
            locale=account.locale,
            active=account.active,
            created_at=account.created_at,
            totp=totp,
            passkeys=passkeys,
            must_change_password=account.must_change_password,
        )


class AccountCreate(BaseModel):
    """A new account."""

    model_config = ConfigDict(extra="forbid")

    username: str = Field(max_length=128)
    display_name: str = Field(max_length=200)
    password: SecretStr = Field(max_length=1024)
    roles: list[RoleInput] = Field(default=[], max_length=50)
    locale: str = Field(default="zh-CN", max_length=16)


class AccountUpdate(BaseModel):
    """What is to change; absent fields stay."""

    model_config = ConfigDict(extra="forbid")

    display_name: str | None = Field(default=None, max_length=200)
    password: SecretStr | None = Field(default=None, max_length=1024)
    roles: list[RoleInput] | None = Field(default=None, max_length=50)
    active: bool | None = None
    locale: str | None = Field(default=None, max_length=16)
