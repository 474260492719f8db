"""Gateways: set up, changed, tried and removed. Nothing here commits."""

import base64
import hmac
from collections.abc import Sequence
from datetime import timedelta
from secrets import token_bytes
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from access.ledger.service import JsonScalar, Ledger
from access.policy.areas import normalise_area
from access.policy.types import Actor
from core.clock import Clock
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.ids import new_id
from core.outbound import Outbound
from core.secrets import SecretBox, SecretBoxError
from governance.deliveries import ways
from governance.deliveries.carriers import signed
from governance.deliveries.chat import read_address
from governance.deliveries.models import Gateway, GatewayCallback
from governance.deliveries.outcome import Outcome
from governance.deliveries.schemas import GatewayChange, GatewayCreate, GatewayOut
from governance.deliveries.types import ROOM_CHANNELS

TOLERANCE = timedelta(minutes=5)
"""How far the clock of a gateway may be from ours (Standard Webhooks)."""

_SECRET_BYTES = 24
_MAX_ID = 200


class CallbackRefusedError(InvalidInputError):
    """A callback that is not signed by the gateway, or not now (422)."""

    code = "bad-signature"


class Gateways:
    """Keeps the gateways. `outbound` says which web addresses may be asked at all."""

    def __init__(
        self, clock: Clock, *, secrets: SecretBox, ledger: Ledger, outbound: Outbound
    ) -> None:
        self._clock = clock
        self._secrets = secrets
        self._ledger = ledger
        self._outbound = outbound

    async def get(self, session: AsyncSession, gateway_id: UUID) -> Gateway:
        """Return a gateway.

        Raises:
            NotFoundError: there is none with this id.
        """
        row = await ways.gateway(session, gateway_id)
        if row is None or row.removed_at is not None:
            raise NotFoundError("There is no such gateway.", remedy="Reload the list of gateways.")
        return row

    async def list(self, session: AsyncSession, areas: Sequence[str]) -> Sequence[Gateway]:
        """Return the gateways of `areas`, by name."""
        return await ways.gateways(session, areas)

    async def create(
        self, session: AsyncSession, actor: Actor | None, wanted: GatewayCreate
    ) -> tuple[Gateway, str | None]:
        """Set up a gateway; returns it and the secret, if the hub made one.

        Raises:
            InvalidInputError: `gateway-address`, `invalid-address`, `gateway-secret` or
                `gateway-room`.
            ConflictError: code `gateway-name-taken`.
        """
        _check_room(wanted.channel, wanted.kind, wanted.room)
        url = wanted.url.get_secret_value().strip()
        self._check_url(wanted.kind, wanted.channel, url)
        made = None
        secret = wanted.secret.get_secret_value().strip() if wanted.secret is not None else ""
        if wanted.kind == "http":
            if not secret:
                secret = made = f"whsec_{base64.b64encode(token_bytes(_SECRET_BYTES)).decode()}"
            self._check_secret(secret)
        await self._check_name(session, wanted.name, None)
        row = Gateway(
            id=new_id(),
            channel=wanted.channel,
            name=wanted.name,
            kind=wanted.kind,
            url_sealed=self._secrets.seal(url),
            secret_sealed=self._secrets.seal(secret) if wanted.kind == "http" else "",
            active=wanted.active,
            room=wanted.room,
            area=normalise_area(wanted.area),
            locale=wanted.locale,
            created_at=self._clock.now(),
        )
        session.add(row)
        await session.flush()
        await self._note(session, "gateway.created", actor, row)
        return row, made

    async def change(
        self, session: AsyncSession, actor: Actor | None, row: Gateway, wanted: GatewayChange
    ) -> None:
        """Change what `wanted` names.

        Raises:
            InvalidInputError: as for `create`.
            ConflictError: code `gateway-name-taken`.
        """
        fields = wanted.model_fields_set
        if wanted.name is not None:
            await self._check_name(session, wanted.name, row.id)
            row.name = wanted.name
        if wanted.room is not None:
            _check_room(row.channel, row.kind, wanted.room)
            row.room = wanted.room
        if wanted.url is not None:
            url = wanted.url.get_secret_value().strip()
            self._check_url(row.kind, row.channel, url)
            row.url_sealed = self._secrets.seal(url)
        if isinstance(wanted.secret, SecretStr) and row.kind == "http":
            secret = wanted.secret.get_secret_value().strip()
            self._check_secret(secret)
            row.secret_sealed = self._secrets.seal(secret)
        if wanted.area is not None:
            row.area = normalise_area(wanted.area)
        if wanted.locale is not None:
            row.locale = wanted.locale
        if wanted.active is not None:
            row.active = wanted.active
        await session.flush()
        await self._note(session, "gateway.changed", actor, row, changed=" ".join(sorted(fields)))

    async def remove(self, session: AsyncSession, actor: Actor | None, row: Gateway) -> None:
        """Remove a gateway; its address and secret are forgotten, its name stays in deliveries."""
        row.removed_at = self._clock.now()
        row.active = False
        row.url_sealed = row.secret_sealed = ""
        await session.flush()
        await self._note(session, "gateway.removed", actor, row)

    def note_test(self, row: Gateway, outcome: Outcome) -> None:
        """Keep with the gateway how a test went."""
        now = self._clock.now()
        if outcome.state == "sent":
            row.last_ok_at = now
        else:
            row.last_failed_at = now
            row.last_error = f"{outcome.code}: {outcome.detail}"[:300]

    def describe(self, row: Gateway) -> GatewayOut:
        """Return a gateway for the wire."""
        return GatewayOut(
            id=row.id,
            channel=row.channel,
            name=row.name,
            kind=row.kind,
            place=self._place(row),
            room=row.room,
            area=row.area,
            locale=row.locale,
            active=row.active,
            created_at=row.created_at,
            last_ok_at=row.last_ok_at,
            last_failed_at=row.last_failed_at,
            last_error=row.last_error,
        )

    async def accept(
        self, session: AsyncSession, gateway_id: UUID, body: bytes, headers: dict[str, str]
    ) -> Gateway | None:
        """Return the gateway that signed this callback; None if this very callback came before.

        `headers`: `webhook-id`, `webhook-timestamp`, `webhook-signature` (Standard Webhooks).

        Raises:
            CallbackRefusedError: unknown gateway, wrong signature, or too old or new.
        """
        row = await ways.gateway(session, gateway_id)
        if row is None or row.removed_at is not None or row.kind != "http":
            raise _refused()
        message_id = headers.get("webhook-id", "")
        self._check_signature(row, message_id, body, headers)
        now = self._clock.now()
        await session.execute(
            delete(GatewayCallback).where(GatewayCallback.at < now - 3 * TOLERANCE)
        )
        if not await ways.add_callback(session, gateway_id, message_id, now):
            return None
        return row

    def _check_signature(
        self, row: Gateway, message_id: str, body: bytes, headers: dict[str, str]
    ) -> None:
        stamp = headers.get("webhook-timestamp", "")
        if not message_id or len(message_id) > _MAX_ID or not stamp.isascii():
            raise _refused()
        if not stamp.isdigit() or len(stamp) > 12:
            raise _refused()
        now = self._clock.now()
        if abs(int(stamp) - now.timestamp()) > TOLERANCE.total_seconds():
            raise _refused()
        at = now.fromtimestamp(int(stamp), tz=now.tzinfo)
        try:
            secret = self._secrets.open(row.secret_sealed)
            expected = signed(secret, message_id, at, body)["webhook-signature"]
        except (SecretBoxError, ValueError) as error:
            raise _refused() from error
        given = headers.get("webhook-signature", "").split(" ")
        if not any(_same(expected, one) for one in given):
            raise _refused()

    def _check_url(self, kind: str, channel: str, url: str) -> None:
        if kind == "apprise":
            read_address(channel, url)
        else:
            self._outbound.check(url)

    def _check_secret(self, secret: str) -> None:
        try:
            signed(secret, "check", self._clock.now(), b"")
        except ValueError as error:
            raise InvalidInputError(
                "The secret cannot be used.",
                remedy="Enter `whsec_` and base64, or leave it out: the hub makes one.",
                code="gateway-secret",
            ) from error

    async def _check_name(self, session: AsyncSession, name: str, own: UUID | None) -> None:
        found = await ways.gateway_by_name(session, name)
        if found is not None and found.id != own:
            raise ConflictError(
                f"There is a gateway called '{name}' already.",
                remedy="Give it another name.",
                code="gateway-name-taken",
            )

    def _place(self, row: Gateway) -> str:
        """Return where it leads, as far as that is no secret."""
        try:
            url = self._secrets.open(row.url_sealed)
        except SecretBoxError:
            return ""
        parts = urlsplit(url)
        return parts.netloc if row.kind == "http" else f"{parts.scheme}://"

    async def _note(
        self, session: AsyncSession, kind: str, actor: Actor | None, row: Gateway, **more: str
    ) -> None:
        data: dict[str, JsonScalar] = {
            "name": row.name,
            "channel": row.channel,
            "kind": row.kind,
            "active": row.active,
        }
        await self._ledger.append(
            session, kind, actor=actor, area=row.area, subject=str(row.id), data={**data, **more}
        )


def _check_room(channel: str, kind: str, room: str) -> None:
    if (channel in ROOM_CHANNELS) == bool(room):
        if channel in ROOM_CHANNELS and kind == "http":
            raise InvalidInputError(
                "A chat room is reached through Apprise.",
                remedy="Choose the kind apprise.",
                code="gateway-room",
            )
        return
    raise InvalidInputError(
        "A chat robot leads to one room, and only a chat robot does.",
        remedy="Name the room that it writes to."
        if channel in ROOM_CHANNELS
        else "Leave the room out.",
        code="gateway-room",
    )


def _refused() -> CallbackRefusedError:
    return CallbackRefusedError(
        "The callback is not signed by this gateway, or not within the last five minutes.",
        remedy="Sign it with the gateway's secret (Standard Webhooks) and set the clock.",
    )


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode())
