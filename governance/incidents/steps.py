"""The six steps, and what leads back from one to another."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.types import Actor
from core.errors import HubError
from governance.dispatch.snapshot import snapshot_of
from governance.incidents import repository
from governance.incidents.base import Kernel
from governance.incidents.errors import (
    NewerIncidentError,
    ReturnedTooOftenError,
    SamePersonError,
    SuspendLimitError,
    TooLateError,
)
from governance.incidents.models import Incident
from governance.incidents.opening import SEVERITY_RANK
from governance.incidents.transitions import (
    Step,
    find,
    needs_other_verifier,
    no_household_alarm,
    photos_needed,
    with_photos,
)

SUSPEND_MAX_S = 30 * 86400.0
REOPEN_S = 7 * 86400.0
"""Limits of an incident without a policy."""


@dataclass(frozen=True, slots=True)
class Whom:
    """A department or a person that an incident is given to, by id and name."""

    id: UUID
    name: str


class Steps(Kernel):
    """Triage, dispatch, handling, feedback, verification, closing; and the ways back."""

    async def triage(
        self,
        session: AsyncSession,
        incident: Incident,
        actor: Actor,
        version: int,
        *,
        note: str,
        severity: str | None = None,
        headline: str | None = None,
    ) -> None:
        """Say how severe it is and what it is about; that acknowledges it too."""
        await self._check_version(session, incident, version)
        find(incident, Step.TRIAGE)
        data: dict[str, object] = {}
        if severity is not None and severity != incident.severity:
            data["severity"] = {"from": incident.severity, "to": severity}
            incident.severity, incident.severity_rank = severity, SEVERITY_RANK[severity]
            if self._choose_policy(incident):
                data["policy"] = incident.policy["id"]
        if headline is not None and headline != incident.headline:
            data["headline"] = {"from": incident.headline, "to": headline}
            incident.headline = headline
        await self._seen(session, incident, actor)
        await self._step(
            session, incident, Step.TRIAGE, "triage", actor=actor, note=note, data=data
        )
        await self._consent.alarm_answered(session, incident.id, actor)

    async def dispatch(
        self,
        session: AsyncSession,
        incident: Incident,
        actor: Actor,
        version: int,
        *,
        department: Whom | None,
        assignee: Whom | None,
        note: str,
    ) -> None:
        """Give it to a department, a person or both, and tell them; that acknowledges it too."""
        await self._check_version(session, incident, version)
        find(incident, Step.DISPATCH)
        _give(incident, department, assignee)
        await self._seen(session, incident, actor)
        await self._step(
            session,
            incident,
            Step.DISPATCH,
            "dispatch",
            actor=actor,
            note=note,
            data=_given(department, assignee),
        )
        await self._tell(
            session, incident, _their_targets(department, assignee), "alert", "dispatch"
        )
        await self._consent.alarm_answered(session, incident.id, actor)

    async def transfer(
        self,
        session: AsyncSession,
        incident: Incident,
        actor: Actor,
        version: int,
        *,
        department: Whom,
        reason: str,
    ) -> None:
        """Hand it to another department, which has yet to take it on."""
        await self._check_version(session, incident, version)
        find(incident, Step.TRANSFER)
        data = {**_given(department, None), "from": incident.department_name}
        _give(incident, department, None)
        _forget_handling(incident)
        await self._step(
            session, incident, Step.TRANSFER, "transfer", actor=actor, note=reason, data=data
        )
        await self._tell(session, incident, ["department"], "alert", "transfer")

    async def send_back(
        self, session: AsyncSession, incident: Incident, actor: Actor, version: int, reason: str
    ) -> HubError | None:
        """Give it back to those who dispatched it.

        Returns:
            Why it is refused when it has come back too often. The level above is whistled for
            then, so the caller commits first and raises afterwards.
        """
        await self._check_version(session, incident, version)
        try:
            find(incident, Step.SEND_BACK)
        except ReturnedTooOftenError as refusal:
            await self.whistled(session, incident, reason, actor)
            await self.publish(session, incident, "whistle")
            return refusal
        data = {
            "department": incident.department_name,
            "assignee": incident.assignee_name,
            "returns": incident.returns + 1,
        }
        _give(incident, None, None)
        _forget_handling(incident)
        await self._step(
            session, incident, Step.SEND_BACK, "send_back", actor=actor, note=reason, data=data
        )
        incident.returns += 1
        await self._tell(session, incident, ["acknowledger", "duty"], "reminder", "send_back")
        return None

    async def handle(
        self, session: AsyncSession, incident: Incident, actor: Actor, version: int, note: str
    ) -> None:
        """Take it on, acknowledging it if nobody had."""
        await self._check_version(session, incident, version)
        find(incident, Step.HANDLE)
        await self._seen(session, incident, actor)
        incident.handler_id = actor.id
        incident.handler_name = actor.display_name
        await self._step(session, incident, Step.HANDLE, "handle", actor=actor, note=note)
        await self._consent.alarm_answered(session, incident.id, actor)

    async def feedback(
        self, session: AsyncSession, incident: Incident, actor: Actor, version: int, note: str
    ) -> None:
        """Write down what was done; it then waits to be checked or closed."""
        await self._check_version(session, incident, version)
        await self._step(session, incident, Step.FEEDBACK, "feedback", actor=actor, note=note)

    async def verify(
        self,
        session: AsyncSession,
        incident: Incident,
        actor: Actor,
        version: int,
        *,
        passed: bool,
        note: str,
        resolution: str,
    ) -> None:
        """Check the feedback: close the incident, or give it back to its handler.

        Raises:
            SamePersonError: the policy asks for another person than who did the work.
        """
        await self._check_version(session, incident, version)
        find(incident, Step.VERIFY if passed else Step.RETURN)
        if needs_other_verifier(incident):
            author = await repository.last_actor(session, incident.id, "feedback")
            if actor.id in {incident.handler_id, author}:
                raise SamePersonError(
                    f"You did the work of incident {incident.number}; somebody else checks it.",
                    remedy="Ask a colleague to verify it.",
                )
        if passed:
            await self._step(
                session, incident, Step.VERIFY, "verify",
                actor=actor, note=note, data={"resolution": resolution}, resolution=resolution,
            )  # fmt: skip
            return
        await self._step(session, incident, Step.RETURN, "returned", actor=actor, note=note)
        await self._tell(session, incident, ["handler"], "alert", "returned")

    async def close(
        self,
        session: AsyncSession,
        incident: Incident,
        actor: Actor,
        version: int,
        *,
        note: str,
        resolution: str,
    ) -> None:
        """Close it. What was handled needs the pictures that its policy asks for."""
        await self._check_version(session, incident, version)
        find(incident, Step.CLOSE)
        if (
            resolution == "handled"
            and photos_needed(incident)
            and (refusal := with_photos(incident))
        ):
            raise refusal
        await self._step(
            session,
            incident,
            Step.CLOSE,
            "close",
            actor=actor,
            note=note,
            data={"resolution": resolution},
            resolution=resolution,
        )

    async def reject(
        self, session: AsyncSession, incident: Incident, actor: Actor, version: int, reason: str
    ) -> None:
        """End what is nobody's work here; never the alarm of a household."""
        await self._check_version(session, incident, version)
        find(incident, Step.REJECT)
        for part in await repository.merged_into(session, incident.id):
            # What ends the whole ends its parts.
            if refusal := no_household_alarm(part):
                raise refusal
        await self._step(
            session, incident, Step.REJECT, "reject",
            actor=actor, note=reason, resolution="rejected",
        )  # fmt: skip

    async def suspend(
        self,
        session: AsyncSession,
        incident: Incident,
        actor: Actor,
        version: int,
        *,
        until: datetime,
        reason: str,
    ) -> None:
        """Let it rest until a moment at which it resumes by itself and rings.

        Raises:
            SuspendLimitError: `until` is not ahead, or too far ahead.
        """
        await self._check_version(session, incident, version)
        find(incident, Step.SUSPEND)
        now, most_s = self._clock.now(), limit_s(incident, "suspend_max_s", SUSPEND_MAX_S)
        if not now < until <= now + timedelta(seconds=most_s):
            raise SuspendLimitError(
                f"An incident rests until a moment within the next {most_s / 86400:g} days.",
                remedy="Choose such a moment; it can be suspended again afterwards.",
                detail={"errors": [{"field": "until", "message": "is not within the limit"}]},
            )
        incident.suspended_until = until.astimezone(UTC)
        data = {"until": incident.suspended_until.isoformat()}
        await self._step(
            session, incident, Step.SUSPEND, "suspend", actor=actor, note=reason, data=data
        )

    async def resume(
        self, session: AsyncSession, incident: Incident, actor: Actor, version: int
    ) -> None:
        """Go on with it before its time."""
        await self._check_version(session, incident, version)
        find(incident, Step.RESUME)
        incident.suspended_until = None
        await self._step(session, incident, Step.RESUME, "resume", actor=actor)

    async def reopen(
        self, session: AsyncSession, incident: Incident, actor: Actor, version: int, reason: str
    ) -> None:
        """Go on with what was closed too early. What its alarm had opened stays closed.

        Raises:
            TooLateError: it was closed longer ago than the policy allows.
            NewerIncidentError: the same thing has opened another one since.
        """
        await self._check_version(session, incident, version)
        find(incident, Step.REOPEN)
        now, within_s = self._clock.now(), limit_s(incident, "reopen_s", REOPEN_S)
        if incident.closed_at is not None and now > incident.closed_at + timedelta(
            seconds=within_s
        ):
            raise TooLateError(
                f"Incident {incident.number} was closed more than {within_s / 86400:g} days ago.",
                remedy="Report it anew, and name this number.",
            )
        await self._check_nothing_newer(session, incident)
        incident.closed_at = incident.resolution = None
        if incident.handler_id is None:
            incident.handler_id, incident.handler_name = actor.id, actor.display_name
        incident.round += 1
        incident.ring_from = now
        await self._step(session, incident, Step.REOPEN, "reopen", actor=actor, note=reason)
        await self._tell(session, incident, ["handler", "assignee", "duty"], "alert", "reopen")

    async def _check_nothing_newer(self, session: AsyncSession, incident: Incident) -> None:
        newer = await repository.open_with_key(session, incident.dedup_key)
        if newer is not None:
            raise NewerIncidentError(
                f"Incident {newer.number} about the same thing is open.",
                remedy=f"Work on {newer.number}, or merge one into the other.",
                detail={"number": newer.number, "incident_id": str(newer.id)},
            )


def limit_s(incident: Incident, name: str, otherwise: float) -> float:
    """Return a limit of the incident's policy in seconds, or `otherwise` without one."""
    policy = snapshot_of(incident.policy or {})
    return otherwise if policy is None else float(policy["limits"][name])  # type: ignore[literal-required]


def _give(incident: Incident, department: Whom | None, assignee: Whom | None) -> None:
    incident.department_id = None if department is None else department.id
    incident.department_name = "" if department is None else department.name
    incident.assignee_id = None if assignee is None else assignee.id
    incident.assignee_name = "" if assignee is None else assignee.name


def _given(department: Whom | None, assignee: Whom | None) -> dict[str, str]:
    data: dict[str, str] = {}
    if department is not None:
        data |= {"department": department.name, "department_id": str(department.id)}
    if assignee is not None:
        data |= {"assignee": assignee.name, "assignee_id": str(assignee.id)}
    return data


def _their_targets(department: Whom | None, assignee: Whom | None) -> Sequence[str]:
    found = {"assignee": assignee, "department": department}
    return [target for target, whom in found.items() if whom is not None]


def _forget_handling(incident: Incident) -> None:
    """What the last ones said of their way does not hold for the next."""
    incident.handler_id, incident.handler_name = None, ""
    incident.progress = incident.progress_at = incident.eta_at = None
    incident.progress_by_name = ""
