"""Two incidents that turn out to be one, and the way back.

Nothing moves: signals, history and pictures stay with their own incident. The merged one shows
where it went, rings no more, and ends with the one it was merged into.
"""

from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.types import Actor
from governance.incidents import repository
from governance.incidents.errors import CannotMergeError
from governance.incidents.models import Incident
from governance.incidents.opening import SEVERITY_RANK
from governance.incidents.steps import Steps
from governance.incidents.transitions import Step, find


class Merging(Steps):
    """Merging and unmerging; the caller has locked both."""

    async def merge(
        self,
        session: AsyncSession,
        incident: Incident,
        actor: Actor,
        version: int,
        *,
        into: Incident,
        reason: str,
    ) -> None:
        """Let `incident` be dealt with as part of `into`.

        Raises:
            CannotMergeError: these two are not to become one.
        """
        await self._check_version(session, incident, version)
        find(incident, Step.MERGE)
        await self._check_pair(session, incident, into)
        incident.merged_into_id = into.id
        incident.merged_from = incident.state
        await self._step(
            session,
            incident,
            Step.MERGE,
            "merge",
            actor=actor,
            note=reason,
            data={"into": into.number, "into_id": str(into.id)},
        )
        self.record(
            session,
            into,
            "merge",
            actor=actor,
            note=reason,
            data={"merged": incident.number, "merged_id": str(incident.id)},
        )
        if SEVERITY_RANK[incident.severity] > into.severity_rank:
            await self._raise_severity(session, into, incident.severity)
        # Whoever was being rung for it is told by the one that goes on.
        if self._telling is not None:
            await session.flush()
            await self._telling.deliveries.acknowledged(session, incident, actor.display_name)

    async def unmerge(
        self, session: AsyncSession, incident: Incident, actor: Actor, version: int, reason: str
    ) -> Incident | None:
        """Let it be an incident of its own again, in the state in which it was merged.

        Returns:
            The one that it was part of.

        Raises:
            NewerIncidentError: the same thing has opened another one since.
        """
        await self._check_version(session, incident, version)
        find(incident, Step.UNMERGE)
        await self._check_nothing_newer(session, incident)
        into = None
        if incident.merged_into_id is not None:
            into = await repository.by_id_locked(session, incident.merged_into_id)
        incident.round += 1
        incident.ring_from = self._clock.now()
        number = "" if into is None else into.number
        await self._step(
            session,
            incident,
            Step.UNMERGE,
            "unmerge",
            actor=actor,
            note=reason,
            data={"from": number},
        )
        incident.merged_into_id = incident.merged_from = None
        if into is not None:
            data = {"unmerged": incident.number, "unmerged_id": str(incident.id)}
            self.record(session, into, "unmerge", actor=actor, note=reason, data=data)
        return into

    async def _check_pair(self, session: AsyncSession, incident: Incident, into: Incident) -> None:
        if incident.id == into.id:
            raise _cannot("An incident cannot be merged into itself.", "Choose another one.")
        if not into.is_open:
            raise _cannot(
                f"Incident {into.number} is {into.state}; only an open one takes another in.",
                "Choose the one that goes on.",
                into_state=into.state,
            )
        if incident.status != into.status:
            raise _cannot(
                "One of the two is an exercise or a test.", "Leave them apart: one is in earnest."
            )
        if await repository.merged_into(session, incident.id):
            raise _cannot(
                f"Others have been merged into incident {incident.number}.",
                "Merge the other way round, or take those out first.",
            )
        parts = (incident, into, *await repository.merged_into(session, into.id))
        homes = {part.household_id for part in parts if part.household_id is not None}
        if len(homes) > 1:
            raise _cannot(
                "They are of different households; each has its own people to hear of it.",
                "Leave them apart, and write each number into the other's notes.",
            )


def _cannot(message: str, remedy: str, **detail: str) -> CannotMergeError:
    return CannotMergeError(message, remedy=remedy, detail=detail)
