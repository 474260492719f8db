"""Dispatch policies: read, checked, replaced as a whole, and tried out."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, timedelta
from typing import Annotated

import orjson
import yaml
from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.areas import normalise_area
from access.policy.types import Actor, Resource
from api.door import permit, require
from api.hub import Hub, HubDep
from core.errors import InvalidInputError, NotFoundError
from governance.areas import service as areas
from governance.dispatch.policies import PolicyFacts, as_json, choose, compiled
from governance.dispatch.reading import MAX_TEXT, PoliciesError, read_text, read_value
from governance.dispatch.schemas import (
    KNOWN_KINDS,
    ForecastOut,
    ForecastRequest,
    PoliciesCheck,
    PoliciesChecked,
    PoliciesOut,
    PoliciesPut,
    PolicyFault,
    PolicyFile,
)

router = APIRouter(tags=["dispatch"])

_FARTHEST = timedelta(days=366)
_reader = ThreadPoolExecutor(1, thread_name_prefix="policies")  # each set takes seconds of CPU


@router.get("/dispatch-policies")
async def read_dispatch_policies(
    hub: HubDep, _actor: Annotated[Actor, permit("dispatch.read")]
) -> PoliciesOut:
    """Return the policies in force: as they were written (YAML, with comments), and as JSON."""
    async with hub.database.read() as session:
        return await hub.governance.policies.show(session)


@router.put("/dispatch-policies")
async def replace_dispatch_policies(
    body: PoliciesPut, hub: HubDep, actor: Annotated[Actor, permit("dispatch.write")]
) -> PoliciesOut:
    """Put a whole new set into force, for incidents that open from now on.

    409 `version-conflict` if somebody has changed them since `version`; 422 `invalid-policies`
    lists every fault with its line and field.
    """
    require(hub, actor, "dispatch.write", Resource("dispatch", area=""))
    text, found = await _read(body)
    async with hub.database.transaction() as session:
        await check_areas(session, found)
        answer = await hub.governance.policies.replace(
            session, actor, version=body.version, text=text, found=found
        )
    async with hub.database.read() as session:
        await hub.governance.policies.load(session)
    return answer


@router.post("/dispatch-policies/check")
async def check_dispatch_policies(
    body: PoliciesCheck, hub: HubDep, _actor: Annotated[Actor, permit("dispatch.read")]
) -> PoliciesChecked:
    """Say what is wrong with a set, by line and field, without writing it."""
    try:
        _, found = await _read(body)
        async with hub.database.read() as session:
            await check_areas(session, found)
    except PoliciesError as error:
        return PoliciesChecked(valid=False, faults=error.faults)
    return PoliciesChecked(valid=True, faults=[])


@router.post("/dispatch-policies/forecast")
async def forecast_dispatch(
    body: ForecastRequest, hub: HubDep, actor: Annotated[Actor, permit("dispatch.read")]
) -> ForecastOut:
    """Say who would be told, when and by what, if this happened and nobody acknowledged it.

    Nothing is written and nobody is told. `policies` are tried instead of the ones in force.
    """
    area = normalise_area(body.area)
    require(hub, actor, "dispatch.read", Resource("dispatch", area=area))
    async with hub.database.read() as session:
        await _may_name(hub, session, actor, body)
        return await forecast(hub, session, body)


async def forecast(hub: Hub, session: AsyncSession, body: ForecastRequest) -> ForecastOut:
    """Do the dry run. Raises InvalidInputError for an unknown kind, area or far time."""
    if body.kind not in KNOWN_KINDS:
        raise InvalidInputError(
            f"There is no kind of incident called '{body.kind[:40]}'.",
            remedy=f"Known are: {', '.join(sorted(KNOWN_KINDS))}.",
            code="unknown-kind",
        )
    area, now = normalise_area(body.area), hub.clock.now()
    await areas.check(session, area)
    at = body.at or now
    if at.tzinfo is None:
        at = at.replace(tzinfo=hub.settings.site.zone)
    if abs(at - now) > _FARTHEST:
        raise InvalidInputError(
            "Who is on duty is known for a year before and after now.",
            remedy="Ask for a time within a year.",
            code="time-out-of-range",
        )
    at = at.astimezone(UTC)
    facts = PolicyFacts(body.kind, body.severity, body.status, area, body.household_id)
    if body.policies is None:
        await hub.governance.policies.load(session)
        snapshot = hub.governance.policies.choose(facts, at)
    else:
        _, found = await _read(body.policies)
        snapshot = choose(compiled(found, 0), facts, at, hub.settings.site.zone)
    steps = await hub.governance.dispatcher.forecast(session, facts, at, snapshot)
    return ForecastOut(policy=dict(snapshot), steps=steps)


async def _read(body: PoliciesPut | PoliciesCheck) -> tuple[str, PolicyFile]:
    """Return what `written` does, without holding up the alarms that come meanwhile."""
    return await asyncio.get_running_loop().run_in_executor(_reader, written, body)


def written(body: PoliciesPut | PoliciesCheck) -> tuple[str, PolicyFile]:
    """Return the text and the policies of a body that holds either.

    Raises:
        PoliciesError: they cannot be used.
        InvalidInputError: the body holds both or none.
    """
    if (body.text is None) == (body.policies is None):
        raise InvalidInputError(
            "Send the policies once: as YAML in 'text', or as JSON in 'policies'.",
            remedy="Leave one of the two out.",
        )
    if body.text is not None:
        return body.text, read_text(body.text)
    if len(orjson.dumps(body.policies, default=str)) > MAX_TEXT:
        fault = PolicyFault(line=None, field="", message=f"longer than {MAX_TEXT} characters")
        raise PoliciesError([fault])
    found = read_value({"policies": body.policies})
    plain = {"policies": as_json(found)}
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, default_flow_style=None)
    return text, found


async def check_areas(session: AsyncSession, found: PolicyFile) -> None:
    """Refuse a set that names an area that there is not: its policies would never count."""
    faults = []
    for policy in found.policies:
        for area in policy.match.areas:
            try:
                await areas.check(session, area)
            except InvalidInputError as error:
                faults.append(
                    PolicyFault(
                        line=None, field=f"policies.{policy.id}.match.areas", message=str(error)
                    )
                )
    if faults:
        raise PoliciesError(faults)


async def _may_name(hub: Hub, session: AsyncSession, actor: Actor, body: ForecastRequest) -> None:
    """Let nobody learn a household's contacts by a dry run who may not know of the household."""
    if body.household_id is None:
        return
    household = await hub.households.get(session, body.household_id)
    resource = Resource(
        "household",
        id=str(household.id),
        area=household.area,
        household=str(household.id),
    )
    if not hub.policy.authorize(actor, "household.list", resource).allowed:
        raise NotFoundError("There is no such household.", remedy="Leave the household out.")
