"""The state machine of incidents, as data: which step leads from where to where, and its guards.

The whole machine of the design is here. `EXPOSED` names the steps that people can take through
the API today; the others are taken by the system or wait for the issue that brings their routes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from core.errors import ConflictError
from governance.incidents.models import Incident


class State(StrEnum):
    """Where an incident stands."""

    REPORTED = "reported"
    TRIAGED = "triaged"
    DISPATCHED = "dispatched"
    HANDLING = "handling"
    SUSPENDED = "suspended"
    FEEDBACK = "feedback"
    CLOSED = "closed"
    ARCHIVED = "archived"
    MERGED = "merged"
    REJECTED = "rejected"


class Step(StrEnum):
    """What can be done to an incident that moves it; acknowledging is a fact and moves nothing."""

    TRIAGE = "triage"
    DISPATCH = "dispatch"
    SEND_BACK = "send_back"
    HANDLE = "handle"
    SUSPEND = "suspend"
    RESUME = "resume"
    FEEDBACK = "feedback"
    CLOSE = "close"
    RECOVER = "recover"
    REOPEN = "reopen"
    ARCHIVE = "archive"
    MERGE = "merge"
    REJECT = "reject"


OPEN_STATES = frozenset(
    {
        State.REPORTED,
        State.TRIAGED,
        State.DISPATCHED,
        State.HANDLING,
        State.SUSPENDED,
        State.FEEDBACK,
    }
)
NOTED_STATES = OPEN_STATES | {State.CLOSED}
"""States in which a note may still be added."""

EXPOSED = (Step.HANDLE, Step.FEEDBACK, Step.CLOSE)

Guard = Callable[[Incident], str | None]
"""Returns why the step is not possible, or None."""


class IllegalTransitionError(ConflictError):
    """The step does not lead on from the state the incident is in (409)."""

    code = "illegal-transition"


def _acknowledged(incident: Incident) -> str | None:
    return None if incident.acknowledged_at is not None else "nobody has acknowledged it"


def _unhandled(incident: Incident) -> str | None:
    return None if incident.handler_id is None else f"{incident.handler_name} is handling it"


@dataclass(frozen=True, slots=True)
class Transition:
    """One arrow of the machine."""

    step: Step
    origin: State
    target: State
    guards: tuple[Guard, ...] = ()


TRANSITIONS: tuple[Transition, ...] = (
    Transition(Step.TRIAGE, State.REPORTED, State.TRIAGED),
    Transition(Step.DISPATCH, State.REPORTED, State.DISPATCHED),  # life safety skips triage
    Transition(Step.DISPATCH, State.TRIAGED, State.DISPATCHED),
    Transition(Step.SEND_BACK, State.DISPATCHED, State.TRIAGED),
    Transition(Step.HANDLE, State.REPORTED, State.HANDLING),  # who sees it deals with it
    Transition(Step.HANDLE, State.TRIAGED, State.HANDLING),
    Transition(Step.HANDLE, State.DISPATCHED, State.HANDLING),
    Transition(Step.HANDLE, State.FEEDBACK, State.HANDLING),  # the check of the feedback failed
    Transition(Step.SUSPEND, State.HANDLING, State.SUSPENDED),
    Transition(Step.RESUME, State.SUSPENDED, State.HANDLING),
    Transition(Step.FEEDBACK, State.HANDLING, State.FEEDBACK),
    Transition(Step.CLOSE, State.REPORTED, State.CLOSED, (_acknowledged,)),
    Transition(Step.CLOSE, State.HANDLING, State.CLOSED),
    Transition(Step.CLOSE, State.FEEDBACK, State.CLOSED),
    Transition(Step.RECOVER, State.REPORTED, State.CLOSED, (_unhandled,)),
    Transition(Step.RECOVER, State.TRIAGED, State.CLOSED, (_unhandled,)),
    Transition(Step.RECOVER, State.DISPATCHED, State.CLOSED, (_unhandled,)),
    Transition(Step.REOPEN, State.CLOSED, State.HANDLING),
    Transition(Step.ARCHIVE, State.CLOSED, State.ARCHIVED),
    *(Transition(Step.MERGE, state, State.MERGED) for state in sorted(OPEN_STATES)),
    *(Transition(Step.REJECT, state, State.REJECTED) for state in sorted(OPEN_STATES)),
)

_BY_STEP = {(t.step, t.origin): t for t in TRANSITIONS}
_TARGETS = {t.step: t.target for t in TRANSITIONS}


def find(incident: Incident, step: Step) -> Transition:
    """Return the arrow that `step` takes from the incident's state.

    Raises:
        IllegalTransitionError: there is none, or a guard refuses; names both states.
    """
    state = State(incident.state)
    transition = _BY_STEP.get((step, state))
    if transition is None:
        raise IllegalTransitionError(
            f"Incident {incident.number} is {state}; '{step}' to "
            f"{_TARGETS[step]} is not possible from there.",
            remedy="Look at what is possible now; somebody may have moved it on.",
            detail={"from_state": state.value, "to_state": _TARGETS[step].value},
        )
    for guard in transition.guards:
        if reason := guard(incident):
            raise IllegalTransitionError(
                f"Incident {incident.number} is {state}; it cannot be {transition.target} "
                f"because {reason}.",
                remedy="Acknowledge or handle it first."
                if guard is _acknowledged
                else "Ask the handler to close it.",
                detail={"from_state": state.value, "to_state": transition.target.value},
            )
    return transition


def is_possible(incident: Incident, step: Step) -> bool:
    """Say whether `find` would return an arrow."""
    transition = _BY_STEP.get((step, State(incident.state)))
    return transition is not None and not any(guard(incident) for guard in transition.guards)


def allowed(incident: Incident) -> list[str]:
    """Return what the API lets people do to the incident now, of those who have the right."""
    names = [step.value for step in EXPOSED if is_possible(incident, step)]
    if incident.is_open and incident.acknowledged_at is None:
        names.insert(0, "acknowledge")
    if State(incident.state) in NOTED_STATES:
        names.append("note")
    return names
