"""Searches for cameras as they go over the wire."""

import ipaddress
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
)

from camera_hub.devices.schemas import Password, SourceKind, Username

Port = Annotated[int, Field(ge=1, le=65535)]
SearchState = Literal["running", "done", "cancelled", "failed"]
FoundState = Literal["found", "identified", "refused", "silent"]


class DiscoveryRequest(BaseModel):
    """Where to search, and as whom.

    `multicast` asks the networks that this machine is in (`interface`: the one with this address
    only); `ranges` are IPv4 ranges of private networks such as 192.168.1.0/24, at most 4096
    addresses in all. An account is sent to every device that answers, as a digest only; without
    one no device is sent any. `ports` are tried for ONVIF, `rtsp_ports` for RTSP.
    """

    model_config = ConfigDict(extra="forbid")

    multicast: bool = True
    interface: Annotated[str, StringConstraints(max_length=45)] = ""
    ranges: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=40)]], Field(max_length=32)
    ] = []
    username: Username = ""
    password: Password | None = None
    ports: Annotated[list[Port], Field(max_length=16)] = []
    rtsp_ports: Annotated[list[Port], Field(max_length=8)] | None = None
    discovery_port: Port = 3702

    @field_validator("interface")
    @classmethod
    def _address(cls, value: str) -> str:
        if value:
            ip = ipaddress.ip_address(value)
            if isinstance(ip, ipaddress.IPv6Address) and ip.scope_id:
                raise ValueError("names an interface beside the address: leave out what follows %")
        return value


class FoundOut(BaseModel):
    """Something that answers as a camera does.

    `state` is `found` (it answers), `identified` (it told what it is), `refused` (it does not
    accept the account), `silent` (it was announced but does not answer). `known_camera_id` is the
    camera of the site that has this address already.
    """

    address: str
    source_kind: SourceKind
    name: str
    manufacturer: str
    model: str
    state: FoundState
    message: str = ""
    clock_offset_s: float | None = None
    known_camera_id: UUID | None = None


class DiscoveryOut(BaseModel):
    """A search: `done` of `total` addresses of the ranges have been tried."""

    id: UUID
    state: SearchState
    done: int
    total: int
    message: str
    started_at: AwareDatetime
    ended_at: AwareDatetime | None
    found: list[FoundOut]
