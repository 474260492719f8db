"""Household contacts on the wire."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

from governance.deliveries.schemas import Locale, Word, Words

ContactState = Literal["asked", "agreed", "declined", "withdrawn"]
_Address = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=254)]


class ContactCreate(BaseModel):
    """A neighbour or relative who is to be told of the household's alarms."""

    model_config = ConfigDict(extra="forbid")

    name: Word
    relation: Words = ""
    phone: _Address | None = None
    email: _Address | None = None
    locale: Locale = "zh-CN"

    @model_validator(mode="after")
    def _reachable(self) -> "ContactCreate":
        if not self.phone and not self.email:
            raise ValueError("needs a telephone number or an e-mail address")
        return self


class ContactWay(BaseModel):
    """How a contact is reached; of the address only as much as tells it from another."""

    channel: str
    address: str


class ContactOut(BaseModel):
    """A contact as the household sees it."""

    id: UUID
    name: str
    relation: str
    locale: str
    ways: list[ContactWay]
    state: ContactState
    asked_at: datetime
    agreed_at: datetime | None
    withdrawn_at: datetime | None


class ContactsOut(BaseModel):
    """All contacts of a household; `channels` have a gateway, so that somebody can be asked."""

    items: list[ContactOut]
    channels: list[str]


class ConsentPageOut(BaseModel):
    """What the contact is asked. `removed`: the household asks no more; nothing else is shown."""

    state: Literal["asked", "agreed", "declined", "withdrawn", "removed"]
    household: str = ""
    name: str = ""
    relation: str = ""
    locale: str = ""
    asked_at: datetime | None = None
    agreed_at: datetime | None = None


class ConsentBody(BaseModel):
    """The contact's decision; may be changed at any time by the same link."""

    model_config = ConfigDict(extra="forbid")

    agree: bool
