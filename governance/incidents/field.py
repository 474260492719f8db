"""What those say who go there: on the way, arrived, done; pictures of the result; a whistle."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.types import Actor
from core.ids import new_id
from governance.attachments import repository as attachments
from governance.attachments.models import Attachment
from governance.attachments.store import Picture
from governance.incidents.base import Kernel
from governance.incidents.errors import TooManyPhotosError
from governance.incidents.models import Incident
from governance.timers import service as timers

MOST_PHOTOS = 20
"""Pictures of the result that one incident keeps."""


class Field(Kernel):
    """Facts that move no state, and so need no version."""

    async def progress(
        self,
        session: AsyncSession,
        incident: Incident,
        actor: Actor,
        progress: str,
        minutes: int | None = None,
    ) -> None:
        """Say that one is on the way, there, or done; that acknowledges it too.

        Args:
            session: the session of the change.
            incident: locked.
            actor: who goes there.
            progress: `going`, `arrived` or `done`.
            minutes: until arrival; only for `going`.

        Raises:
            IllegalTransitionError: it is no longer open.
        """
        self._check_open(incident, "worked on")
        now = self._clock.now()
        data: dict[str, object] = {"progress": progress}
        incident.progress, incident.progress_at = progress, now
        incident.progress_by_name = actor.display_name
        incident.eta_at = None
        if progress == "going" and minutes is not None:
            incident.eta_at = now + timedelta(minutes=minutes)
            data |= {"minutes": minutes, "eta_at": incident.eta_at.isoformat()}
        if await self._seen(session, incident, actor):
            incident.version += 1
        self.record(session, incident, "progress", actor=actor, data=data)
        await self._tell_contacts(session, incident, actor, progress, minutes)
        if incident.waiting_for in timers.BEFORE_HANDLING:
            incident.overdue = False
            await timers.schedule(session, incident, self._settings, now)
        await self._consent.alarm_answered(session, incident.id, actor)

    async def _tell_contacts(
        self,
        session: AsyncSession,
        incident: Incident,
        actor: Actor,
        progress: str,
        minutes: int | None,
    ) -> None:
        """Tell the household's contacts that help comes, or is there."""
        word = {"going": "coming", "arrived": "arrived"}.get(progress)
        if word is None or incident.household_id is None or self._telling is None:
            return
        await session.flush()
        contacts = await self._telling.dispatcher.recipients(
            session, incident, ["contacts"], self._clock.now()
        )
        about: dict[str, object] = {"by": actor.display_name}
        if minutes is not None:
            about["minutes"] = minutes
        await self._telling.deliveries.queue(
            session,
            incident,
            contacts,
            channels=("sms", "email"),
            round_key=f"{word}:{incident.round}",
            purpose="news",
            about=about,
        )

    async def whistle(
        self, session: AsyncSession, incident: Incident, actor: Actor, reason: str
    ) -> None:
        """Call the level above; those who have it keep it.

        Raises:
            IllegalTransitionError: it is no longer open.
        """
        self._check_open(incident, "whistled for")
        await self.whistled(session, incident, reason, actor)

    def check_photo(self, incident: Incident, there: Sequence[Attachment]) -> None:
        """Refuse one more picture of the result.

        Raises:
            IllegalTransitionError: it is no longer open.
            TooManyPhotosError: it has as many as are kept.
        """
        self._check_open(incident, "documented")
        if len(there) >= MOST_PHOTOS:
            raise TooManyPhotosError(
                f"Incident {incident.number} has {MOST_PHOTOS} pictures of its result.",
                remedy="They have to do; write the rest into a note.",
            )

    async def add_photo(
        self, session: AsyncSession, incident: Incident, actor: Actor, picture: Picture, name: str
    ) -> bool:
        """Add a picture of the result, which is on the disk; False if it was there already.

        Raises:
            IllegalTransitionError: it is no longer open.
            TooManyPhotosError: it has as many as are kept.
        """
        there = await attachments.results_of(session, incident.id)
        if any(row.sha256 == picture.sha256 for row in there):
            return False
        self.check_photo(incident, there)
        row = Attachment(
            id=new_id(),
            kind="result",
            sha256=picture.sha256,
            name=name,
            media_type=picture.media_type,
            width=picture.width,
            height=picture.height,
            size=len(picture.content),
            objects=[],
            incident_id=incident.id,
            added_by_id=actor.id,
            added_by_name=actor.display_name,
            created_at=self._clock.now(),
        )
        session.add(row)
        incident.result_photos = len(there) + 1
        data = {"attachment_id": str(row.id), "sha256": picture.sha256}
        self.record(session, incident, "photo", actor=actor, data=data)
        return True
