"""Actors, things and areas in the form in which Cedar reads them."""

from functools import lru_cache
from itertools import pairwise
from typing import Any

import cedarpy
import orjson

from access.policy.actions import WITH_PLACE
from access.policy.areas import ancestors
from access.policy.types import Actor, Circumstances, Resource, Role, RoleBinding

Entity = dict[str, Any]

_ROLE_SETS = tuple(role.value for role in Role if role is not Role.SERVICE)


@lru_cache(maxsize=64)
def context(circumstances: Circumstances) -> str:
    """Return the circumstances as the context of a request."""
    return orjson.dumps(circumstances).decode()


def uid(kind: str, name: str) -> dict[str, str]:
    """Return the name of an entity."""
    return {"type": kind, "id": name}


def to_json(entities: list[Entity]) -> str:
    """Return entities as JSON."""
    return orjson.dumps(entities).decode()


def parsed(entities: list[Entity]) -> cedarpy.Entities:
    """Return entities as Cedar keeps them."""
    return cedarpy.Entities.from_json_str(to_json(entities))


def actor_in_area(actor: Actor, area: str) -> cedarpy.Entities:
    """Return who asks, and the areas from `area` up: what many questions have in common."""
    return parsed([principal(actor), *area_chain(area)])


def principal_uid(actor: Actor) -> dict[str, str]:
    """Return the name of who asks."""
    name = str(actor.id) if actor.id is not None else ""
    return uid("Service" if actor.kind == "service" else "Account", name)


def _area_set(bindings: tuple[RoleBinding, ...], role: str) -> list[Entity]:
    return [{"__entity": uid("Area", b.area)} for b in bindings if b.role.value == role]


def _household_set(actor: Actor) -> list[Entity]:
    return [{"__entity": uid("Household", str(household))} for household in actor.households]


def principal(actor: Actor) -> Entity:
    """Return who asks, with roles and households, or with scopes."""
    if actor.kind == "service":
        attributes: Entity = {
            "service": _area_set(actor.bindings, Role.SERVICE.value),
            "scopes": sorted(actor.scopes),
            "households": _household_set(actor),
        }
    else:
        attributes = {role: _area_set(actor.bindings, role) for role in _ROLE_SETS}
        attributes["households"] = _household_set(actor)
        attributes["home_waits"] = actor.home_waits
    return {"uid": principal_uid(actor), "attrs": attributes, "parents": []}


def target(cedar_type: str, resource: Resource) -> Entity:
    """Return what is asked for; it lies in its area and, if it has one, in its household."""
    attributes: Entity = {}
    if cedar_type in WITH_PLACE:
        attributes["place_kind"] = resource.place_kind
    if cedar_type == "Camera":
        attributes["residents_may_watch"] = resource.residents_may_watch
    elif cedar_type == "Account":
        attributes = {role: [] for role in (*_ROLE_SETS, "households")}
        attributes["home_waits"] = False
    parents = [uid("Area", resource.area)]
    if resource.household and cedar_type != "Household":
        parents.append(uid("Household", resource.household))
    return {
        "uid": uid(cedar_type, resource.id or resource.kind),
        "attrs": attributes,
        "parents": parents,
    }


def area_chain(area: str) -> list[Entity]:
    """Return `area` and every area above it, each in the one above."""
    chain = ancestors(area)
    return [
        {"uid": uid("Area", path), "attrs": {}, "parents": [uid("Area", above)]}
        for path, above in pairwise(chain)
    ] + [{"uid": uid("Area", ""), "attrs": {}, "parents": []}]
