"""The one question of every route that shows a picture: who, of which camera, what for, and how.

`may_look` looks up what holds now (consent, purpose, reference), asks the policy and says in which
rendition the picture may leave. `record` commits nothing: the caller's transaction does, before
the first frame. `still_looking` asks again for views that stay open.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NoReturn
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.consent.service import LiveGrant
from access.policy.types import Actor, Circumstances, Resource
from access.views.purposes import find_purpose
from access.views.schemas import ViewKind
from api.door import actor_now, home_waits_first
from api.guards import Watcher
from api.hub import Hub
from camera_hub.devices import homes
from camera_hub.devices.models import Camera
from camera_hub.devices.service import resource_of
from camera_hub.streams.painting import Rendition, masks_digest, read_masks
from core.errors import ForbiddenError, InvalidInputError, NotFoundError, UnavailableError
from governance.incidents import repository as incidents
from governance.incidents.models import Incident

LISTENING = {"camera.live": "camera.listen", "recording.play": "recording.listen"}
"""What is asked beside an action where what is seen is heard too."""
_STRENGTH: dict[Rendition, int] = {"raw": 0, "masked": 1, "redacted": 2}


@dataclass(frozen=True, slots=True)
class Look:
    """A permitted look at a camera's pictures: why it is, and in which rendition they leave.

    With `sound` it may be heard too; painted and blurred pictures are silent.
    """

    camera: Camera
    circumstances: Circumstances
    grant: LiveGrant | None
    rendition: Rendition
    purpose: str = ""
    reference: str = ""
    incident_id: UUID | None = None
    sound: bool = False

    def watcher(self, actor: Actor) -> Watcher:
        """Return who watches, for the guard of a view that stays open."""
        return Watcher(
            actor=actor,
            camera_id=self.camera.id,
            rendition=self.rendition,
            purpose=self.circumstances.purpose,
            reference=self.circumstances.reference,
            grant_id=None if self.grant is None else self.grant.id,
            sound=self.sound,
        )

    @property
    def masks(self) -> str:
        """The digest of the masks that what is shown must have; "" where none is asked for."""
        return "" if self.rendition == "raw" else masks_digest(read_masks(self.camera.masks))

    def covers(self, shown: Rendition) -> bool:
        """Say whether a picture that was made as `shown` may leave under this look."""
        return _STRENGTH[shown] >= _STRENGTH[self.rendition]


async def camera_to_look_at(session: AsyncSession, camera_id: UUID) -> Camera:
    """Return a camera that is not deleted.

    Raises:
        NotFoundError: there is none.
    """
    camera = (await homes.watched(session, [camera_id])).get(camera_id)
    if camera is None:
        raise _no_such_camera()
    return camera


async def may_look(
    hub: Hub,
    session: AsyncSession,
    actor: Actor,
    camera: Camera,
    action: str,
    *,
    purpose: str = "",
    reference: str = "",
) -> Look:
    """Return the look that is permitted now, the least covered one of several.

    Args:
        hub: the hub.
        session: a session for reading, or the transaction that will hold the record.
        actor: who asks.
        camera: of which camera.
        action: `camera.live`, `camera.snapshot` or `recording.play`.
        purpose: a key of `access.views.purposes`, or "".
        reference: what the purpose refers to, or "".

    Raises:
        NotFoundError: the actor may not know of the camera.
        ForbiddenError: the actor may know of it, but not do this.
        InvalidInputError: `purpose-needed`, `unknown-purpose`, `reference-needed` or
            `unknown-reference`; only for those who may do this with a good reason.
    """
    grants = await _grants(hub, session, actor, [camera])
    question = _Question(actor, action, resource_of(camera), camera, grants)
    if _choose(hub, question, Circumstances(purpose="incident", reference=True)) is None:
        _refuse(hub, question)
    incident_id, text, asked = None, "", Circumstances()
    if purpose:
        found, text = find_purpose(purpose, reference)
        if found.reference == "incident":
            incident_id = await _readable_incident(hub, session, actor, text)
        asked = Circumstances(purpose=found.key, reference=True)
    chosen = _choose(hub, question, asked)
    if chosen is None:
        raise InvalidInputError(
            "A picture is taken for a purpose.",
            remedy="Say what for (GET /api/v1/purposes) and what it refers to.",
            code="purpose-needed",
        )
    return replace(chosen, reference=text, incident_id=incident_id)


async def may_listen(
    hub: Hub,
    session: AsyncSession,
    actor: Actor,
    look: Look,
    action: str,
    *,
    purpose: str = "",
    reference: str = "",
) -> Look:
    """Return `look`, which was permitted for `action`, with its sound where it has any.

    Painted and blurred pictures have none: `sound` of the answer stays false then.

    Raises:
        NotFoundError, ForbiddenError, InvalidInputError: as `may_look`, for listening.
    """
    why = {"purpose": purpose, "reference": reference}
    heard = await may_look(hub, session, actor, look.camera, LISTENING[action], **why)
    return replace(look, sound=look.rendition == heard.rendition == "raw")


async def could_listen(
    hub: Hub, session: AsyncSession, actor: Actor, look: Look, action: str
) -> bool:
    """Say whether `may_listen` would give `look`, which was permitted for `action`, its sound."""
    grants = await _grants(hub, session, actor, [look.camera])
    heard = possible_look(hub, actor, look.camera, grants, LISTENING[action])
    return heard is not None and look.rendition == heard.rendition == "raw"


async def may_look_at_incident(
    hub: Hub, session: AsyncSession, actor: Actor, incident: Incident, camera: Camera
) -> Look:
    """Return the look at the pictures of an incident of `camera`, which may be gone.

    Raises:
        ForbiddenError: the actor may read the incident, but not see what it shows.
    """
    resource = incident.resource()
    if camera.place_kind == "home":
        household = "" if camera.household_id is None else str(camera.household_id)
        resource = replace(resource, place_kind="home", household=household)
    grants = await _grants(hub, session, actor, [camera])
    asked = Circumstances(purpose="incident", reference=True)
    question = _Question(actor, "incident.image", resource, camera, grants)
    chosen = _choose(hub, question, asked)
    if chosen is None:
        if resource.place_kind == "home":
            raise _home_is_closed(actor)
        raise ForbiddenError(
            "Your account may not see this picture (incident.image).",
            remedy="Ask an administrator for the role it needs.",
        )
    return replace(chosen, reference=incident.number, incident_id=incident.id)


async def record(hub: Hub, session: AsyncSession, actor: Actor, look: Look, kind: ViewKind) -> UUID:
    """Write who looks, in the caller's transaction, last; return the record's id."""
    return await hub.views.open_view(
        session,
        actor=actor,
        camera_id=look.camera.id,
        area=look.camera.area,
        kind=kind,
        purpose=look.purpose,
        reference=look.reference,
        grant_id=None if look.grant is None else look.grant.id,
        incident_id=look.incident_id,
        redacted=look.rendition == "redacted",
        sound=look.sound,
        household_id=look.camera.household_id,
        place_kind=look.camera.place_kind,
    )


async def still_looking(
    hub: Hub, actor: Actor, watchers: frozenset[Watcher], action: str = "camera.live"
) -> frozenset[Watcher]:
    """Return those of `watchers`, all of one sign-in, that may go on as they are shown now.

    Session, roles, households, camera and consent are read again, in one go for all of them.
    """
    now = await actor_now(hub, actor)
    if now is None:
        return frozenset()
    async with hub.database.read() as session:
        cameras = await homes.watched(session, {w.camera_id for w in watchers})
        grants = await _grants(hub, session, now, cameras.values())
    kept = set()
    for watcher in watchers:
        camera = cameras.get(watcher.camera_id)
        # What was recorded stays there when the camera is switched off.
        if camera is None or not (camera.enabled or action == "recording.play"):
            continue
        asked = Circumstances(purpose=watcher.purpose, reference=watcher.reference)
        question = _Question(now, action, resource_of(camera), camera, grants)
        look = _choose(hub, question, asked)
        if look is None or not look.covers(watcher.rendition):
            continue
        if watcher.sound and action == "camera.live" and not camera.sound:
            # Switched off: not even what its worker still sends is heard.
            continue
        if watcher.sound:
            heard = _choose(hub, replace(question, action=LISTENING[action]), asked)
            if heard is None or not look.rendition == heard.rendition == "raw":
                continue
        kept.add(watcher)
    return frozenset(kept)


def possible_look(
    hub: Hub, actor: Actor, camera: Camera, grants: Iterable[LiveGrant], action: str
) -> Look | None:
    """Return the look that `actor` would get with a purpose named, or None; nothing is recorded."""
    question = _Question(actor, action, resource_of(camera), camera, list(grants))
    return _choose(hub, question, Circumstances(purpose="incident", reference=True))


def check_covered(look: Look, shown: Rendition) -> None:
    """Refuse a picture that was made before more of it had to be covered.

    Raises:
        UnavailableError: code `redaction-away`.
    """
    if not look.covers(shown):
        raise UnavailableError(
            "What may be shown of this camera has just changed.",
            remedy="Try again.",
            code="redaction-away",
        )


async def _grants(
    hub: Hub, session: AsyncSession, actor: Actor, cameras: Iterable[Camera]
) -> list[LiveGrant]:
    """Return what is granted to `actor` of those of `cameras` that look into other homes."""
    wanted = [
        camera.id
        for camera in cameras
        if camera.place_kind == "home" and camera.household_id not in actor.households
    ]
    return await hub.consent.live_grants(session, actor, wanted) if wanted else []


@dataclass(frozen=True, slots=True)
class _Question:
    """Who asks for what; `grants` is what is granted to them of any camera."""

    actor: Actor
    action: str
    resource: Resource
    camera: Camera
    grants: list[LiveGrant]


def _choose(hub: Hub, question: _Question, asked: Circumstances) -> Look | None:
    """Return the least covered look that the policy permits, or None.

    Nobody listens where the law in force lets nobody hear.
    """
    camera = question.camera
    if _is_silenced(hub, question):
        return None
    own = [
        grant
        for grant in question.grants
        # A grant of a household that the camera no longer belongs to opens nothing.
        if grant.camera_id == camera.id and grant.household_id == camera.household_id
    ]
    ways: list[tuple[LiveGrant | None, bool]] = [(None, False)]
    ways += [(grant, grant.redacted) for grant in sorted(own, key=lambda g: g.redacted)]
    ways.append((None, True))
    for grant, redacted in ways:
        circumstances = replace(asked, grant="" if grant is None else grant.kind, redacted=redacted)
        if _permits(hub, question, circumstances):
            rendition: Rendition = "masked" if camera.masks else "raw"
            return Look(
                camera=camera,
                circumstances=circumstances,
                grant=grant,
                rendition="redacted" if redacted else rendition,
                purpose=asked.purpose,
            )
    return None


def _is_silenced(hub: Hub, question: _Question) -> bool:
    camera = question.camera
    return question.action in LISTENING.values() and hub.law.forbids_sound(
        camera.place_kind, camera.place_type
    )


def _permits(hub: Hub, question: _Question, circumstances: Circumstances) -> bool:
    return hub.policy.authorize(
        question.actor, question.action, question.resource, circumstances
    ).allowed


def _refuse(hub: Hub, question: _Question) -> NoReturn:
    """Raise what tells no more than the actor may know."""
    reading = replace(question, action="camera.read")
    known = [Circumstances(), *(Circumstances(grant=grant.kind) for grant in question.grants)]
    if not any(_permits(hub, reading, circumstances) for circumstances in known):
        raise _no_such_camera()
    if question.resource.place_kind == "home":
        raise _home_is_closed(question.actor)
    if _is_silenced(hub, question):
        raise ForbiddenError(
            "The law in force lets nobody hear this place.",
            remedy="Look at it without sound.",
            code="no-sound-by-law",
        )
    raise ForbiddenError(
        f"Your account may not do this ({question.action}).",
        remedy="Ask an administrator for the role it needs.",
    )


async def _readable_incident(hub: Hub, session: AsyncSession, actor: Actor, number: str) -> UUID:
    incident = await incidents.by_number(session, number)
    if (
        incident is None
        or not hub.policy.authorize(actor, "incident.read", incident.resource()).allowed
    ):
        raise InvalidInputError(
            f"There is no incident {number[:24]} that you may read.",
            remedy="Give the number of an incident of your areas, such as 2026-000123.",
            code="unknown-reference",
        )
    return incident.id


def _no_such_camera() -> NotFoundError:
    return NotFoundError("There is no such camera.", remedy="Reload the list of cameras.")


def _home_is_closed(actor: Actor) -> ForbiddenError:
    if actor.home_waits:
        return home_waits_first()
    return ForbiddenError(
        "This is a home. It opens by the consent of its household only.",
        remedy="Ask the household; nobody else can open it.",
        code="no-consent",
    )
