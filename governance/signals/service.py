"""Intake: one transaction for the signals, their incidents, history, timers and outbox.

The receipt is for after the commit. A signal that arrives twice changes nothing the second
time and gets the same receipt; the retry of an honest sender is therefore always safe.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import Clock
from core.errors import HubError
from governance.incidents.service import Incidents
from governance.signals.batch import Batch
from governance.signals.reading import ReadSignal
from governance.signals.types import CameraFacts, HouseholdFacts, Posted, Receipt


class Signals:
    """Decides what becomes of signals."""

    def __init__(self, clock: Clock, incidents: Incidents) -> None:
        self._clock = clock
        self._incidents = incidents

    async def take(
        self, session: AsyncSession, posted: Sequence[Posted]
    ) -> list[Receipt | HubError]:
        """Store signals and do what they ask for, in this order; their pictures lie on the disk.

        Returns the receipt of each, or the `SignalIdReusedError` of one that is refused; nothing
        of that one is written.
        """
        return await Batch(session, self._incidents, self._clock.now()).take(posted)

    async def intake(
        self,
        session: AsyncSession,
        signal: ReadSignal,
        *,
        camera: CameraFacts | None = None,
        household: HouseholdFacts | None = None,
        posted_by: UUID | None = None,
    ) -> Receipt:
        """Store one signal in a transaction of the caller's. Its pictures lie on the disk already.

        `household` is that of an alarm; that of a home camera comes with `camera`.

        Raises:
            SignalIdReusedError: the id was used before for something else.
        """
        (answer,) = await self.take(session, [Posted(signal, camera, household, posted_by)])
        if isinstance(answer, HubError):
            raise answer
        return answer
