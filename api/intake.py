"""Signals on their way in, whoever brings them: HTTP, MQTT, alarm panels. One door for all."""

from collections.abc import Callable, Sequence

from access.policy.types import Actor, Resource
from api.door import require
from api.hub import Hub
from core.errors import ForbiddenError, HubError
from governance.incidents.kinds import ALARMS
from governance.signals.intake import IntakeItem
from governance.signals.reading import ReadSignal
from governance.signals.types import Posted, Receipt


async def take_in(
    hub: Hub, actor: Actor | None, signals: Sequence[ReadSignal]
) -> list[Receipt | HubError]:
    """Store signals, whose pictures lie on the disk; returns after the commit.

    Args:
        hub: the hub.
        actor: who posts; None is the hub itself, which is asked for no right.
        signals: checked by `read_signal`.

    Returns:
        For each signal its receipt, or why it is refused (403, 409, 422), in order.

    Raises:
        HubError: 503 or 507: the store or the intake cannot take it now.
        SQLAlchemyError, OSError: the store could not do it. Whatever was stored after all is
            recognised when it is sent again.
    """
    allow = None if actor is None else _allow(hub, actor)
    posted_by = None if actor is None else actor.id
    items = [IntakeItem(signal, posted_by, allow) for signal in signals]
    answers: list[Receipt | HubError] = []
    for answer in await hub.governance.intake.submit_all(items):
        if isinstance(answer, Receipt) or (isinstance(answer, HubError) and answer.status < 500):
            answers.append(answer)
        else:
            raise answer
    return answers


def _allow(hub: Hub, actor: Actor) -> Callable[[Posted], None]:
    # A batch comes from one place: the policy is asked once for each area in it.
    allowed: set[str] = set()

    def allow(posted: Posted) -> None:
        if posted.signal.event.kind in ALARMS and posted.household is not None:
            _allow_alarm(hub, actor, posted)
        elif posted.area not in allowed:
            require(hub, actor, "signal.post", Resource("signal", area=posted.area))
            allowed.add(posted.area)

    return allow


def _allow_alarm(hub: Hub, actor: Actor, posted: Posted) -> None:
    """Let what the household has bound press its alarm; an area's token may rehearse it.

    Raises:
        ForbiddenError: the actor may do neither.
    """
    assert posted.household is not None
    home = str(posted.household.id)
    resource = Resource("alarm", id=home, area=posted.area, place_kind="home", household=home)
    if hub.policy.authorize(actor, "alarm.press", resource).allowed:
        return
    require(hub, actor, "signal.post", Resource("signal", area=posted.area))
    in_earnest = posted.signal.event.data.status == "Actual"
    if in_earnest and posted.household.id not in actor.households:
        raise ForbiddenError(
            "Only a device that the household has bound may press its alarm in earnest "
            "(alarm.press).",
            remedy="Pair the device with the household, or send the alarm with the status "
            "Exercise or Test.",
        )
