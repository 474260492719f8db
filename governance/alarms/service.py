"""Every decision about alarm devices: how they come into a household, and how they go.

Only the household lets a device in. Its token opens one thing, the household's own alarm; when the
device is removed, or the household has moved out, the token opens nothing from the commit on.
Nothing here commits.
"""

import binascii
import contextlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from access.households import repository as household_rows
from access.households.models import Household
from access.ledger.service import Ledger
from access.policy.types import Actor, Role, RoleBinding
from access.tokens.service import Tokens
from core.clock import Clock
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.ids import new_id
from core.secrets import SecretBox
from governance.alarms import codes, repository
from governance.alarms.doors import Door
from governance.alarms.models import AlarmDevice, PairingCode
from governance.alarms.presence import Presence
from governance.alarms.rates import PairingThrottle, PressRate
from governance.alarms.schemas import (
    DeviceCreate,
    DeviceIssued,
    DeviceKind,
    DeviceOut,
    PairingCodeOut,
)

SCOPES = ("alarm.press", "alarm.follow")
TEST_EVERY = timedelta(days=30)
MAX_DEVICES = 40
MAX_CODES = 5
"""Of one household; its oldest code gives way to a sixth."""

_BY_HAND = frozenset({"phone", "tv", "app", "button"})
"""Kinds that show a token over HTTP. A panel speaks DC-09 and has none."""

_LONGEST_TOKEN_NAME = 80


class PairingCodeError(NotFoundError):
    """The code is not one that counts: wrong, used, too old, or guessed at too often (404)."""

    code = "pairing-code"

    def __init__(self) -> None:
        super().__init__(
            "This code does not count: it is wrong, has been used, or is older than ten minutes.",
            remedy="Look at it again, or ask for a new one on the page of your home.",
        )


class AccountCodeTakenError(ConflictError):
    """Another panel answers to this account code (409)."""

    code = "account-code-taken"


@dataclass(frozen=True, slots=True)
class HouseholdDevice:
    """A device with what is needed to act for it."""

    device: AlarmDevice
    household: Household

    def actor(self) -> Actor:
        """Return the device as somebody who asks, for what does not come through the HTTP door."""
        return Actor(
            kind="service",
            id=self.device.token_id or self.device.id,
            name=self.device.name,
            display_name=self.device.name,
            bindings=(RoleBinding(Role.SERVICE, self.household.area),),
            scopes=frozenset(SCOPES),
            households=frozenset({self.household.id}),
        )


class AlarmDevices:
    """Decides which devices there are. `presence` is what this process has heard of them."""

    def __init__(self, clock: Clock, secret_box: SecretBox, tokens: Tokens, ledger: Ledger) -> None:
        self._clock = clock
        self._secrets = secret_box
        self._tokens = tokens
        self._ledger = ledger
        self.presence = Presence(clock)
        self.presses = PressRate(clock)
        self.pairings = PairingThrottle(clock)
        self.mqtt = Door("mqtt", clock)
        self.dc09 = Door("dc09", clock)

    async def create(
        self,
        session: AsyncSession,
        actor: Actor | None,
        household: Household,
        wanted: DeviceCreate,
        *,
        code: PairingCode | None = None,
    ) -> DeviceIssued:
        """Let a device into `household`, which is locked. Its secrets are in the answer only.

        Raises:
            ConflictError: the household has moved out, has too many devices, or the account code
                is another panel's.
            InvalidInputError: a panel without account code, or a key that is none.
        """
        await self._check_room(session, household)
        _check_shape(wanted)
        key = _key_for(wanted)
        token_id, secret = None, None
        if wanted.kind in _BY_HAND:
            name = f"{wanted.kind} of {household.name}: {wanted.name}"[:_LONGEST_TOKEN_NAME]
            token, secret = await self._tokens.issue(
                session,
                name=name.strip(),
                scopes=SCOPES,
                area=household.area,
                by=actor,
                household_id=household.id,
            )
            token_id = token.id
        device = AlarmDevice(
            id=new_id(),
            household_id=household.id,
            kind=wanted.kind,
            name=wanted.name,
            token_id=token_id,
            account_code=wanted.account_code.upper() if wanted.account_code else None,
            key=None if key is None else self._secrets.seal(key.hex()),
            heartbeat_s=wanted.heartbeat_s,
            created_at=self._clock.now(),
            created_by=actor.id if actor is not None else code.made_by if code else None,
        )
        try:
            async with session.begin_nested():
                await repository.add(session, device)
        except IntegrityError as error:
            raise AccountCodeTakenError(
                f"Another panel answers to the account {device.account_code} already.",
                remedy="Give each panel an account of its own, or remove the other one first.",
            ) from error
        await self._append(
            session, "device.paired", actor, household, device, by_itself=code is not None
        )
        described = self._describe(device, household)
        return DeviceIssued(device=described, token=secret, key=None if key is None else key.hex())

    async def _check_room(self, session: AsyncSession, household: Household) -> None:
        if household.closed_at is not None:
            raise ConflictError(
                f"'{household.name}' has moved out; nothing presses an alarm there.",
                remedy="Choose the household that lives there now.",
                code="household-closed",
            )
        if await repository.count_in_use(session, household.id) >= MAX_DEVICES:
            raise ConflictError(
                f"'{household.name}' has {MAX_DEVICES} alarm devices already.",
                remedy="Remove those that are not used any more.",
                code="too-many-devices",
            )

    async def make_code(
        self, session: AsyncSession, actor: Actor | None, household: Household, kind: DeviceKind
    ) -> PairingCodeOut:
        """Return a new code for `household`, which is locked; it is stored as a hash only.

        Takes some 20 ms of CPU.

        Raises:
            ConflictError: the household has moved out, or has too many devices.
        """
        if kind == "panel":
            raise InvalidInputError(
                "A panel types no code.",
                remedy="Enter its account code and key on the page of the home instead.",
                code="no-code-for-panels",
            )
        await self._check_room(session, household)
        now = self._clock.now()
        await repository.forget_codes(session, before=now - timedelta(days=1))
        live = await repository.live_codes(session, household.id, now)
        for old in live[: max(0, len(live) - MAX_CODES + 1)]:
            old.expires_at = now
        code = codes.new_code()
        row = PairingCode(
            code_hash=codes.code_hash(code),
            prefix_hash=codes.prefix_hash(code),
            household_id=household.id,
            kind=kind,
            made_by=None if actor is None else actor.id,
            created_at=now,
            expires_at=now + codes.LIFETIME,
        )
        await repository.add(session, row)
        await self._ledger.append(
            session,
            "device.invited",
            actor=actor,
            area=household.area,
            subject=str(household.id),
            data={"household": household.name, "device_kind": kind},
        )
        return PairingCodeOut(code=codes.shown(code), kind=kind, expires_at=row.expires_at)

    async def pair(
        self, session: AsyncSession, code: str, code_hash: bytes, name: str
    ) -> DeviceIssued | None:
        """Let in the device that shows `code`; None if the code does not count.

        None must be committed too: the wrong guess is counted against the codes it is like.
        `code_hash` is `codes.code_hash(code)`, made off the event loop.
        """
        found = await repository.code_by_hash(session, code_hash)
        if found is None:
            await repository.count_try(session, codes.prefix_hash(code))
            return None
        household = await household_rows.by_id_locked(session, found.household_id)
        now = self._clock.now()
        if household is None or household.closed_at is not None:
            return None
        if not await repository.use_code(session, code_hash, now, codes.MAX_TRIES):
            return None
        wanted = DeviceCreate.model_validate({"kind": found.kind, "name": name})
        return await self.create(session, None, household, wanted, code=found)

    async def remove(
        self, session: AsyncSession, actor: Actor | None, household: Household, device_id: UUID
    ) -> None:
        """Take a device out of its household, which is locked; its token opens nothing more.

        Raises:
            NotFoundError: the household has no such device.
        """
        device = await repository.by_id_locked(session, device_id)
        if device is None or device.household_id != household.id:
            raise NotFoundError(
                "There is no such alarm device.", remedy="Look at the list of the home's devices."
            )
        await self._end(session, actor, household, device)

    async def end_of_household(
        self, session: AsyncSession, actor: Actor | None, household: Household
    ) -> int:
        """Remove every device and code of a household that moves out; return how many devices."""
        await repository.forget_codes(session, before=self._clock.now(), household_id=household.id)
        devices = await repository.of_household(session, household.id)
        for device in devices:
            await self._end(session, actor, household, device)
        return len(devices)

    async def _end(
        self,
        session: AsyncSession,
        actor: Actor | None,
        household: Household,
        device: AlarmDevice,
    ) -> None:
        device.removed_at = self._clock.now()
        device.key = None
        if device.token_id is not None:
            # An administrator may have revoked it before.
            with contextlib.suppress(NotFoundError):
                await self._tokens.revoke(session, device.token_id, actor)
        self.presence.forget(device.id)
        await self._append(session, "device.removed", actor, household, device)

    async def _append(
        self,
        session: AsyncSession,
        kind: str,
        actor: Actor | None,
        household: Household,
        device: AlarmDevice,
        **data: bool,
    ) -> None:
        await self._ledger.append(
            session,
            kind,
            actor=actor,
            area=household.area,
            subject=str(device.id),
            data={
                "household": household.name,
                "device_kind": device.kind,
                "name": device.name,
                **data,
            },
        )

    async def by_token(self, session: AsyncSession, token_id: UUID | None) -> AlarmDevice | None:
        """Return the device that shows this token."""
        return None if token_id is None else await repository.by_token(session, token_id)

    async def known(self, session: AsyncSession, device_id: UUID) -> HouseholdDevice | None:
        """Return a device in use whose household lives there."""
        return await self._with_household(session, await repository.by_id(session, device_id))

    async def panel(self, session: AsyncSession, account_code: str) -> HouseholdDevice | None:
        """Return the panel that answers to an account code."""
        row = await repository.by_account_code(session, account_code.upper())
        return await self._with_household(session, row)

    async def _with_household(
        self, session: AsyncSession, device: AlarmDevice | None
    ) -> HouseholdDevice | None:
        if device is None:
            return None
        household = await household_rows.by_id(session, device.household_id)
        if household is None or household.closed_at is not None:
            return None
        return HouseholdDevice(device, household)

    def key_of(self, device: AlarmDevice) -> bytes | None:
        """Return the device's key, in the clear.

        Raises:
            SecretBoxError: it was sealed with another key file.
        """
        return None if device.key is None else bytes.fromhex(self._secrets.open(device.key))

    async def describe(self, session: AsyncSession, rows: Sequence[AlarmDevice]) -> list[DeviceOut]:
        """Return `rows` as the wire has them, in the same order."""
        homes = await repository.households(session, {row.household_id for row in rows})
        return [self._describe(row, homes[row.household_id]) for row in rows]

    def _describe(self, row: AlarmDevice, household: Household) -> DeviceOut:
        heard: Mapping[UUID, datetime] = self.presence.heard_at
        seen = max((at for at in (row.last_seen_at, heard.get(row.id)) if at), default=None)
        return DeviceOut.model_validate(
            {
                "id": row.id,
                "household_id": row.household_id,
                "household": household.name,
                "area": household.area,
                "kind": row.kind,
                "name": row.name,
                "account_code": row.account_code,
                "signs": row.key is not None,
                "heartbeat_s": row.heartbeat_s,
                "last_seen_at": seen,
                "silent": row.missed > 0,
                "battery_pct": row.battery_pct,
                "tested_at": row.tested_at,
                "test_due": self.test_due(row),
                "created_at": row.created_at,
            }
        )

    def test_due(self, row: AlarmDevice) -> bool:
        """Say whether the last test press, or the making of the device, is a month ago."""
        return self._clock.now() - (row.tested_at or row.created_at) >= TEST_EVERY


def _check_shape(wanted: DeviceCreate) -> None:
    if (wanted.kind == "panel") != (wanted.account_code is not None):
        raise InvalidInputError(
            "A panel has an account code, and nothing else has one.",
            remedy="Enter the account (3 to 16 digits 0-9 A-F) that is set in the panel.",
            code="account-code",
        )
    if wanted.key is not None and wanted.kind not in ("panel", "button"):
        raise InvalidInputError(
            f"A {wanted.kind} needs no key; it shows its token.",
            remedy="Leave the key out.",
            code="device-key",
        )


def _key_for(wanted: DeviceCreate) -> bytes | None:
    """Return the key of a new device: what the installer has entered, else a new one, or None."""
    if wanted.key is None:
        if wanted.kind == "button":
            return secrets.token_bytes(32)
        return secrets.token_bytes(16) if wanted.encrypted else None
    try:
        key = (
            binascii.unhexlify(wanted.key)
            if wanted.key_format == "hex"
            else wanted.key.encode("ascii")
        )
    except (binascii.Error, ValueError):
        key = b""
    if len(key) not in (16, 24, 32):
        raise InvalidInputError(
            "This is no AES key of 128, 192 or 256 bits.",
            remedy="Enter 32, 48 or 64 hexadecimal digits, or say key_format 'text' "
            "for 16, 24 or 32 characters.",
            code="device-key",
        )
    return key
