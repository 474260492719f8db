"""Why somebody may or may not do something: what holds now is looked up, and the policy asked.

The command line and `POST /access/explanations` ask the same question the door asks, of the same
policies, with the consent that is live at this moment.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.accounts.service import resources_of
from access.consent.service import LiveGrant
from access.households.membership import with_households
from access.policy.actions import ACTIONS, KIND_OF_ACTION
from access.policy.areas import normalise_area
from access.policy.explain import Explanation, Question, explain
from access.policy.text import PolicyText
from access.policy.types import Actor, Circumstances, Resource
from access.scope import EVERYTHING, camera_scope
from access.views.purposes import find_purpose
from api.hub import Hub
from camera_hub.devices import homes
from camera_hub.devices import repository as cameras
from camera_hub.devices.models import Camera
from camera_hub.devices.service import resource_of
from core.errors import HubError, InvalidInputError, NotFoundError
from governance.incidents import repository as incidents

_FORMS = "camera:<id or name>, incident:<number>, account:<username> or area:<path>"
# What a thing that can be named stands for, by the kind of thing an action is done to.
_STANDS_FOR = {
    "camera": {"camera", "grant"},
    "incident": {"incident", "export"},
    "account": {"account"},
}


class ExplainRequest(BaseModel):
    """Who wants to do what to which thing; `grant` supposes a consent that is not there."""

    model_config = ConfigDict(extra="forbid")

    username: str = Field(max_length=128)
    action: str = Field(max_length=64)
    resource: str = Field(max_length=400, description=_FORMS)
    grant: Literal["", "share", "alarm"] = ""
    purpose: str = Field(default="", max_length=40)
    reference: str = Field(default="", max_length=128)
    second_person: bool = False


class PolicyOut(BaseModel):
    """A policy as it is written; `line` counts from 1."""

    id: str
    effect: Literal["permit", "forbid"]
    file: str
    line: int
    text: str

    @classmethod
    def of(cls, policy: PolicyText) -> "PolicyOut":
        """Return `policy` for the wire."""
        effect: Literal["permit", "forbid"] = "forbid" if policy.effect == "forbid" else "permit"
        return cls(
            id=policy.id,
            effect=effect,
            file=Path(policy.file).name,
            line=policy.line,
            text=policy.text,
        )


class MissingOut(BaseModel):
    """What would have to hold as well (all of `needs`), and the policies that permit it then."""

    needs: list[str]
    policies: list[str]


class CircumstancesOut(BaseModel):
    """What held for the one who asks."""

    grant: Literal["", "share", "alarm"]
    purpose: str
    reference: bool
    redacted: bool
    second_person: bool


class ExplanationOut(BaseModel):
    """The decision and what made it; `missing` are the smallest changes that would permit it."""

    allowed: bool
    username: str
    action: str
    resource: str
    area: str
    place_kind: str
    circumstances: CircumstancesOut
    policies: list[PolicyOut]
    missing: list[MissingOut]
    notes: list[str]


@dataclass(frozen=True, slots=True)
class _Thing:
    """What an action is done to, once for each area in which it must be permitted."""

    name: str
    resources: Sequence[Resource]
    camera: Camera | None = None


async def explain_access(
    hub: Hub, session: AsyncSession, body: ExplainRequest, asker: Actor | None
) -> ExplanationOut:
    """Explain what `body` asks. `asker` None is the command line, which knows every thing.

    Raises:
        NotFoundError: no such account or thing, or it lies where `asker` may not ask.
        InvalidInputError: no such action, or it is not done to such a thing.
    """
    if body.action not in ACTIONS:
        raise InvalidInputError(
            f"There is no action '{body.action}'.",
            remedy="`camera-hub access roles` lists the actions.",
            code="unknown-action",
        )
    thing = await _find(hub, session, body.resource, body.action, asker)
    account = await hub.accounts.get_by_username(session, body.username)
    actor = await with_households(session, hub.accounts.actor(account))
    notes = _about(hub, account)
    given = await _circumstances(hub, session, actor, body, notes)
    grants = await _grants(hub, session, actor, thing.camera)
    found, resource, held = _worst(
        _best(hub, Question(actor, body.action, resource, given), grants)
        for resource in thing.resources
    )
    return ExplanationOut(
        allowed=found.allowed and account.active,
        username=account.username,
        action=body.action,
        resource=thing.name,
        area=resource.area,
        place_kind=resource.place_kind,
        circumstances=CircumstancesOut(
            grant=held.grant,
            purpose=held.purpose,
            reference=held.reference,
            redacted=held.redacted,
            second_person=held.second_person,
        ),
        policies=[PolicyOut.of(policy) for policy in found.policies],
        missing=[
            MissingOut(needs=list(m.needs), policies=[p.id for p in m.policies])
            for m in found.missing
        ],
        notes=notes,
    )


_Answer = tuple[Explanation, Resource, Circumstances]


def _best(hub: Hub, question: Question, grants: Sequence[LiveGrant]) -> _Answer:
    """Return the answer in the way that is permitted: as it is, by a grant, or blurred."""
    given = question.circumstances
    ways = [given, *(replace(given, grant=g.kind, redacted=g.redacted) for g in grants)]
    ways.append(replace(given, redacted=True))
    first: _Answer | None = None
    for way in ways:
        found = explain(hub.policy, replace(question, circumstances=way))
        if found.allowed:
            return found, question.resource, way
        first = first or (found, question.resource, way)
    assert first is not None
    return first


def _worst(answers: Iterable[_Answer]) -> _Answer:
    """Return the refusal, if there is one: what spans areas must be permitted in each."""
    return min(answers, key=lambda answer: answer[0].allowed)


def _about(hub: Hub, account: Account) -> list[str]:
    notes = []
    if not account.active:
        notes.append("The account is switched off: it may do nothing.")
    restricted = hub.accounts.may_only(account)
    if restricted is not None:
        notes.append(f"Until it has seen to it ({restricted}) it may only look after itself.")
    return notes


async def _circumstances(
    hub: Hub, session: AsyncSession, actor: Actor, body: ExplainRequest, notes: list[str]
) -> Circumstances:
    given = Circumstances(grant=body.grant, second_person=body.second_person)
    if body.grant:
        notes.append(f"Supposed, not looked up: a live {body.grant} grant.")
    if not body.purpose:
        return given
    try:
        purpose, reference = find_purpose(body.purpose, body.reference)
    except HubError as error:
        notes.append(str(error))
        return given
    exists = True
    if purpose.reference == "incident":
        incident = await incidents.by_number(session, reference)
        exists = (
            incident is not None
            and hub.policy.authorize(actor, "incident.read", incident.resource()).allowed
        )
        if not exists:
            notes.append(f"There is no incident {reference} that the account may read.")
    return replace(given, purpose=purpose.key, reference=exists)


async def _grants(
    hub: Hub, session: AsyncSession, actor: Actor, camera: Camera | None
) -> list[LiveGrant]:
    if camera is None or camera.household_id is None:
        return []
    found = await hub.consent.live_grants(session, actor, [camera.id])
    return [grant for grant in found if grant.household_id == camera.household_id]


async def _find(
    hub: Hub, session: AsyncSession, text: str, action: str, asker: Actor | None
) -> _Thing:
    kind, separator, name = text.partition(":")
    finders = {
        "camera": _camera,
        "incident": _incident,
        "account": _account,
        "area": _area,
    }
    if not separator or kind not in finders:
        raise InvalidInputError(
            f"'{text[:60]}' names no thing.", remedy=f"Write {_FORMS}.", code="unknown-resource"
        )
    wanted = KIND_OF_ACTION[action]
    if kind in _STANDS_FOR and wanted not in _STANDS_FOR[kind] and wanted != "system":
        raise InvalidInputError(
            f"'{action}' is not done to a thing of the kind '{kind}'.",
            remedy=f"Name what it is done to, one of {_FORMS}.",
            code="unknown-resource",
        )
    thing = await finders[kind](hub, session, name.strip(), asker)
    if thing is None or (asker is not None and not _may_ask(hub, asker, thing)):
        raise NotFoundError(
            f"There is no {kind} '{name[:60]}'.",
            remedy="Check how it is written; it may also lie outside of your areas.",
        )
    return replace(thing, resources=[replace(r, kind=wanted) for r in thing.resources])


def _may_ask(hub: Hub, asker: Actor, thing: _Thing) -> bool:
    return all(
        hub.policy.authorize(asker, "access.explain", Resource("access", area=r.area)).allowed
        for r in thing.resources
    )


async def _camera(hub: Hub, session: AsyncSession, name: str, asker: Actor | None) -> _Thing | None:
    scope = EVERYTHING if asker is None else camera_scope(hub.policy, asker, "camera.read")
    found = await cameras.named(session, name, scope)
    if len(found) > 1:
        raise InvalidInputError(
            f"{len(found)} cameras are called '{name[:60]}'.",
            remedy="Name one by its id: " + ", ".join(str(c.id) for c in found[:5]),
            code="ambiguous-name",
        )
    if not found:
        return None
    return _Thing(f"camera {found[0].name}", [resource_of(found[0])], found[0])


async def _incident(
    _hub: Hub, session: AsyncSession, number: str, _asker: Actor | None
) -> _Thing | None:
    incident = await incidents.by_number(session, number)
    if incident is None:
        return None
    resource, camera = incident.resource(), None
    if incident.camera_id is not None:
        camera = await homes.also_deleted(session, incident.camera_id)
    if camera is not None:
        shown = resource_of(camera)
        resource = replace(resource, place_kind=shown.place_kind, household=shown.household)
    return _Thing(f"incident {incident.number}", [resource], camera)


async def _account(
    hub: Hub, session: AsyncSession, username: str, _asker: Actor | None
) -> _Thing | None:
    try:
        account = await hub.accounts.get_by_username(session, username)
    except (NotFoundError, InvalidInputError):
        return None
    return _Thing(f"account {account.username}", resources_of(account))


async def _area(
    _hub: Hub, _session: AsyncSession, path: str, _asker: Actor | None
) -> _Thing | None:
    area = normalise_area(path)
    return _Thing(f"area {area or '(the whole site)'}", [Resource("system", area=area)])
