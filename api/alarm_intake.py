"""From a device to the kernel: every way in (HTTP, MQTT, DC-09) presses through here."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from access.households.models import Household
from access.households.repository import Home
from access.policy.types import Actor
from api.hub import Hub
from api.intake import take_in
from core.errors import HubError, NotFoundError
from core.ids import new_id
from core.metrics import counter
from governance.alarms import following, repository
from governance.alarms.presses import Press, checked_location, read_press, signal_of
from governance.alarms.schemas import LocationIn
from governance.alarms.service import HouseholdDevice
from governance.signals.reading import ReadSignal
from governance.signals.schemas import SignalReceipt

_pressed = counter("alarms_pressed", "Presses received for the first time", ("kind", "via"))


@dataclass(frozen=True, slots=True)
class Pressed:
    """What became of a press.

    Attributes:
        id: of the press.
        signal: what it is as a signal.
        receipt: of that signal.
        is_new: False for one that was received before.
        opened: number of the incident that it has opened; "" if it has opened none.
    """

    id: str
    signal: ReadSignal
    receipt: SignalReceipt
    is_new: bool
    opened: str


@dataclass(frozen=True, slots=True)
class Presser:
    """Whoever presses: a device of a household, and the actor that it is."""

    actor: Actor
    device_id: UUID
    device_name: str
    household: Household | Home

    @classmethod
    def of(cls, found: HouseholdDevice) -> "Presser":
        """Return the presser of what does not come through the HTTP door."""
        return cls(found.actor(), found.device.id, found.device.name, found.household)


async def press_alarm(hub: Hub, actor: Actor, raw: Any, *, key: str = "") -> Pressed:
    """Take in the press in `raw` (parsed JSON) of the device that `actor` is.

    Raises:
        HubError: it cannot be understood, comes too often, or its household is gone.
    """
    async with hub.database.read(short=True) as session:
        found = await repository.presser(session, actor.id, actor.households)
    if found is None:
        raise NotFoundError(
            "The household of this device has moved out.",
            remedy="Pair the device with the household that lives there now. "
            "If somebody is in danger now, call for help by telephone.",
            code="household-closed",
        )
    # A token that was bound to the household without a device presses as itself.
    identity = found.device_id or actor.id or new_id()
    name = actor.name if found.device_name is None else found.device_name
    press = read_press(raw, hub.clock.now(), device_id=identity, key=key)
    return await take_press(hub, Presser(actor, identity, name, found.household), press)


async def take_press(hub: Hub, presser: Presser, press: Press) -> Pressed:
    """Take in a press; returns after its commit.

    Raises:
        HubError: it comes too often, or the door or the store refuses it.
    """
    household, device_id = presser.household, presser.device_id
    rate, pressed = hub.alarm_devices.presses, (str(device_id), _pressed_what(press))
    rate.press(*pressed)
    signal = signal_of(
        press,
        device_id=device_id,
        device_name=presser.device_name,
        household_id=household.id,
        household=household.name,
        now=hub.clock.now(),
    )
    try:
        (answer,) = await take_in(hub, presser.actor, [signal])
    except BaseException:
        rate.take_back(*pressed)
        raise
    if isinstance(answer, HubError):
        raise answer
    if answer.is_new:
        _pressed.labels(press.kind, press.via).inc()
    hub.alarm_devices.presence.heard(device_id, via=press.via)
    await _follow_up(hub, press, device_id, household.id)
    return Pressed(press.id, signal, answer.body, answer.is_new, answer.opened)


def _pressed_what(press: Press) -> str:
    """Return what counts together: no test and no restored sensor uses up an alarm's presses."""
    return f"{press.kind} {press.status} {press.about.get('phase', '')}"


async def _follow_up(hub: Hub, press: Press, device_id: UUID, household_id: UUID) -> None:
    """Write what came with the press. The press is durable; a repetition brings this again."""
    if press.status == "Test":
        async with hub.database.transaction() as session:
            await repository.set_values(session, device_id, tested_at=hub.clock.now())
    if press.location is not None:
        now = hub.clock.now()
        place = checked_location(LocationIn.model_validate(press.location), now)
        async with hub.database.transaction() as session:
            await following.locate(
                hub.governance, session, [household_id], press.id, place, only_first=True
            )
