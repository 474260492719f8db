"""The state machine of incidents, as data: which step leads from where to where, and its guards.

Acknowledging, noting, progress, pictures and whistling move nothing: they are facts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from core.errors import ConflictError
from governance.dispatch.snapshot import snapshot_of
from governance.incidents.errors import (
    AlarmNotRejectedError,
    PhotosNeededError,
    ReturnedTooOftenError,
    VerifyNeededError,
)
from governance.incidents.kinds import ALARMS
from governance.incidents.models import Incident

MOST_RETURNS = 2
"""How often an incident may be sent back; then the level above decides."""


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
    TRANSFER = "transfer"
    SEND_BACK = "send_back"
    HANDLE = "handle"
    SUSPEND = "suspend"
    RESUME = "resume"
    FEEDBACK = "feedback"
    VERIFY = "verify"
    RETURN = "return"
    CLOSE = "close"
    RECOVER = "recover"
    END = "end"
    REOPEN = "reopen"
    ARCHIVE = "archive"
    MERGE = "merge"
    UNMERGE = "unmerge"
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

EXPOSED = (
    Step.TRIAGE,
    Step.DISPATCH,
    Step.HANDLE,
    Step.FEEDBACK,
    Step.VERIFY,
    Step.CLOSE,
    Step.TRANSFER,
    Step.SEND_BACK,
    Step.SUSPEND,
    Step.RESUME,
    Step.REOPEN,
    Step.MERGE,
    Step.UNMERGE,
    Step.REJECT,
)
"""Steps that people take through the API; the system alone recovers, ends, returns and archives."""

Guard = Callable[[Incident], ConflictError | None]
"""Returns why the step is not possible, or None."""


class IllegalTransitionError(ConflictError):
    """The step does not lead on from the state the incident is in (409)."""

    code = "illegal-transition"


def needs_other_verifier(incident: Incident) -> bool:
    """Say whether the incident's policy asks for a check by somebody else than its handler."""
    policy = snapshot_of(incident.policy or {})
    return policy is not None and policy["verifier"] == "other"


def photos_needed(incident: Incident) -> int:
    """Return how many pictures of the result the incident's policy asks for."""
    policy = snapshot_of(incident.policy or {})
    return 0 if policy is None else policy["result_photos"]


def _refused(incident: Incident, target: State, reason: str, remedy: str) -> IllegalTransitionError:
    return IllegalTransitionError(
        f"Incident {incident.number} is {incident.state}; it cannot be {target} because {reason}.",
        remedy=remedy,
        detail={"from_state": incident.state, "to_state": target.value},
    )


def _acknowledged(incident: Incident) -> ConflictError | None:
    if incident.acknowledged_at is not None:
        return None
    return _refused(
        incident, State.CLOSED, "nobody has acknowledged it", "Acknowledge or handle it first."
    )


def _unhandled(incident: Incident) -> ConflictError | None:
    if incident.handler_id is None:
        return None
    reason = f"{incident.handler_name} is handling it"
    return _refused(incident, State.CLOSED, reason, "Ask the handler to close it.")


def _no_drill(incident: Incident) -> ConflictError | None:
    if incident.status == "actual":
        return None
    reason = f"it was only a {'test' if incident.status == 'test' else 'exercise'}"
    return _refused(incident, State.HANDLING, reason, "Let it rest.")


def _drill(incident: Incident) -> ConflictError | None:
    if incident.status in {"test", "exercise"}:
        return None
    return _refused(incident, State.CLOSED, "it is in earnest", "Handle it.")


def _anyone_closes(incident: Incident) -> ConflictError | None:
    if not needs_other_verifier(incident):
        return None
    return VerifyNeededError(
        f"Incident {incident.number} is closed by a check of its feedback, by somebody else than "
        "its handler.",
        remedy="Give feedback, and let another person verify it.",
    )


def with_photos(incident: Incident) -> ConflictError | None:
    """Return why pictures of the result are missing, or None."""
    needed, there = photos_needed(incident), incident.result_photos or 0
    if there >= needed:
        return None
    return PhotosNeededError(
        f"Incident {incident.number} needs {needed} picture(s) of the result and has {there}.",
        remedy="Add what is missing, then try again.",
        detail={"needed": needed, "there": there},
    )


def _not_too_often(incident: Incident) -> ConflictError | None:
    if (incident.returns or 0) < MOST_RETURNS:
        return None
    return ReturnedTooOftenError(
        f"Incident {incident.number} has been sent back {incident.returns} times already; "
        "the level above has been told and decides.",
        remedy="Work on it, or talk to the level above.",
    )


def no_household_alarm(incident: Incident) -> ConflictError | None:
    """Return why the incident may not be rejected, or None."""
    if incident.household_id is None or incident.kind not in ALARMS:
        return None
    return AlarmNotRejectedError(
        f"A household pressed alarm {incident.number}; it cannot be rejected.",
        remedy="Look after it, and close it as a false alarm if it was one.",
    )


@dataclass(frozen=True, slots=True)
class Transition:
    """One arrow of the machine; without `target` it leads back to where the incident was."""

    step: Step
    origin: State
    target: State | None
    guards: tuple[Guard, ...] = ()

    def target_of(self, incident: Incident) -> State:
        """Return where the arrow leads for this incident."""
        return self.target or State(incident.merged_from or State.REPORTED)


TRANSITIONS: tuple[Transition, ...] = (
    Transition(Step.TRIAGE, State.REPORTED, State.TRIAGED),
    Transition(Step.DISPATCH, State.REPORTED, State.DISPATCHED),  # life safety skips triage
    Transition(Step.DISPATCH, State.TRIAGED, State.DISPATCHED),
    Transition(Step.TRANSFER, State.DISPATCHED, State.DISPATCHED),
    Transition(Step.TRANSFER, State.HANDLING, State.DISPATCHED),
    Transition(Step.SEND_BACK, State.DISPATCHED, State.TRIAGED, (_not_too_often,)),
    Transition(Step.HANDLE, State.REPORTED, State.HANDLING),  # who sees it deals with it
    Transition(Step.HANDLE, State.TRIAGED, State.HANDLING),
    Transition(Step.HANDLE, State.DISPATCHED, State.HANDLING),
    Transition(Step.HANDLE, State.FEEDBACK, State.HANDLING),  # somebody else goes on with it
    Transition(Step.SUSPEND, State.HANDLING, State.SUSPENDED),
    Transition(Step.RESUME, State.SUSPENDED, State.HANDLING),
    Transition(Step.FEEDBACK, State.HANDLING, State.FEEDBACK, (with_photos,)),
    Transition(Step.VERIFY, State.FEEDBACK, State.CLOSED, (with_photos,)),
    Transition(Step.RETURN, State.FEEDBACK, State.HANDLING),  # the check of the feedback failed
    Transition(Step.CLOSE, State.REPORTED, State.CLOSED, (_anyone_closes, _acknowledged)),
    Transition(Step.CLOSE, State.HANDLING, State.CLOSED, (_anyone_closes,)),
    Transition(Step.CLOSE, State.FEEDBACK, State.CLOSED, (_anyone_closes,)),
    Transition(Step.RECOVER, State.REPORTED, State.CLOSED, (_unhandled,)),
    Transition(Step.RECOVER, State.TRIAGED, State.CLOSED, (_unhandled,)),
    Transition(Step.RECOVER, State.DISPATCHED, State.CLOSED, (_unhandled,)),
    Transition(Step.REOPEN, State.CLOSED, State.HANDLING, (_no_drill,)),
    Transition(Step.ARCHIVE, State.CLOSED, State.ARCHIVED),
    Transition(Step.UNMERGE, State.MERGED, None),
    *(Transition(Step.END, state, State.CLOSED, (_drill,)) for state in sorted(OPEN_STATES)),
    *(Transition(Step.MERGE, state, State.MERGED) for state in sorted(OPEN_STATES)),
    *(
        Transition(Step.REJECT, state, State.REJECTED, (no_household_alarm,))
        for state in sorted(OPEN_STATES)
    ),
)

_BY_STEP = {(t.step, t.origin): t for t in TRANSITIONS}
_TARGETS = {t.step: t.target for t in TRANSITIONS}


def find(incident: Incident, step: Step) -> Transition:
    """Return the arrow that `step` takes from the incident's state.

    Raises:
        IllegalTransitionError: there is none, or a guard refuses; names both states.
        ConflictError: a guard refuses for a reason that has a code of its own.
    """
    state = State(incident.state)
    transition = _BY_STEP.get((step, state))
    if transition is None:
        target = _TARGETS[step]
        leads_to = "what it was" if target is None else target.value
        raise IllegalTransitionError(
            f"Incident {incident.number} is {state}; '{step}' to "
            f"{leads_to} is not possible from there.",
            remedy="Look at what is possible now; somebody may have moved it on.",
            detail={"from_state": state.value, "to_state": leads_to},
        )
    for guard in transition.guards:
        if refusal := guard(incident):
            raise refusal
    return transition


def _leads_on(incident: Incident, step: Step, state: State) -> bool:
    transition = _BY_STEP.get((step, state))
    return transition is not None and not any(guard(incident) for guard in transition.guards)


def allowed(incident: Incident) -> list[str]:
    """Return what the API lets people do to the incident now, of those who have the right.

    What hangs on who asks (a verifier who is not the handler) or on the hour (how long after its
    closing it may be reopened) shows when it is tried.
    """
    state = State(incident.state)
    names = [step.value for step in EXPOSED if _leads_on(incident, step, state)]
    if incident.is_open:
        if incident.acknowledged_at is None:
            names.insert(0, "acknowledge")
        names += ["progress", "photo", "whistle"]
    if state in NOTED_STATES:
        names.append("note")
    return names
