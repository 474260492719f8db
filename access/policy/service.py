"""The policy: Cedar policies parsed once, asked for every action of every actor.

The policies and their schema lie beside this module, so that a wheel carries them;
`configs/policies/` links to them for the reader. A centre's own version is a file
`policies/access.cedar` in the data directory. The forbids of `inviolable.cedar` are added to
either.
"""

from dataclasses import replace
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import cedarpy
import orjson

from access.policy.areas import ancestors, widest
from access.policy.types import (
    ORDINARY,
    Actor,
    Circumstances,
    Decision,
    Resource,
    Role,
    RoleBinding,
)
from core.errors import HubError
from core.logging import get_logger

POLICY_FILE = Path(__file__).with_name("access.cedar")
INVIOLABLE_FILE = Path(__file__).with_name("inviolable.cedar")
SCHEMA_FILE = Path(__file__).with_name("access.cedarschema")

ACTIONS_BY_KIND: dict[str, tuple[str, ...]] = {
    "camera": (
        "camera.list",
        "camera.read",
        "camera.probe",
        "camera.create",
        "camera.update",
        "camera.delete",
        "camera.live",
        "camera.snapshot",
        "camera.mask",
        "zone.read",
        "zone.write",
        "recording.list",
        "recording.play",
    ),
    "incident": (
        "incident.list",
        "incident.read",
        "incident.image",
        "incident.acknowledge",
        "incident.handle",
        "incident.feedback",
        "incident.close",
        "incident.note",
    ),
    "export": ("export.request", "export.list", "export.approve", "export.download"),
    "household": (
        "household.list",
        "household.create",
        "household.update",
        "household.close",
    ),
    "grant": ("grant.list", "grant.give", "grant.withdraw"),
    "account": (
        "account.list",
        "account.create",
        "account.update",
        "account.grant",
        "account.reset",
    ),
    "site": (
        "session.read",
        "session.delete",
        "account.self",
        "token.list",
        "token.create",
        "token.delete",
        "signal.post",
        "event.stream",
        "worker.heartbeat",
        "view.list",
        "metrics.read",
        "system.read",
        "home.read",
        "viewing.read",
        "purpose.list",
        "law.read",
        "ledger.read",
        "ledger.verify",
        "seal.list",
        "seal.request",
        "seal.approve",
        "access.explain",
    ),
}
"""Every action, by the kind of thing it is done to."""

ACTIONS: frozenset[str] = frozenset(a for group in ACTIONS_BY_KIND.values() for a in group)

SCOPES: frozenset[str] = frozenset(
    {
        "signal.post",
        "worker.heartbeat",
        "metrics.read",
        "system.read",
        "event.stream",
        "camera.list",
        "camera.read",
        "incident.list",
        "incident.read",
    }
)
"""What a service token may be given. Nothing here shows a picture or changes a right."""

_CEDAR_TYPE = {
    "camera": "Camera",
    "zone": "Camera",
    "recording": "Camera",
    "incident": "Incident",
    "export": "Export",
    "household": "Household",
    "grant": "Grant",
    "account": "Account",
    "session": "Site",
    "token": "Site",
    "signal": "Site",
    "event": "Site",
    "worker": "Site",
    "view": "Site",
    "metrics": "Site",
    "system": "Site",
    "home": "Site",
    "viewing": "Site",
    "purpose": "Site",
    "law": "Site",
    "ledger": "Site",
    "seal": "Site",
    "access": "Site",
}
_CEDAR_TYPE_OF_ACTION = {
    action: "Site" if kind == "site" else _CEDAR_TYPE[kind]
    for kind, actions in ACTIONS_BY_KIND.items()
    for action in actions
}
_KIND_OF_ACTION = {
    action: "system" if kind == "site" else kind
    for kind, actions in ACTIONS_BY_KIND.items()
    for action in actions
}
_PLACES = ("public_space", "shared_space", "home")
_WITH_PLACE = frozenset({"Camera", "Incident", "Export"})

# What an area's work may ask for at most: a purpose, somebody else's approval, a blurred picture.
# Consent is not among it: it opens one home, and no area.
_WIDEST = Circumstances(purpose="incident", reference=True, redacted=True, second_person=True)
_SHARED = replace(_WIDEST, grant="share")
_ALARMED = replace(_WIDEST, grant="alarm")
_PROBE_HOUSEHOLD = UUID(int=0)
_ROLE_SETS = tuple(role.value for role in Role if role is not Role.SERVICE)
_CACHED_ANSWERS = 4096

_log = get_logger("access.policy")

Entity = dict[str, Any]


class PolicyError(HubError):
    """The policy file cannot be read, is not Cedar, or does not fit the schema."""

    code = "policy"


class Policy:
    """Parsed Cedar policies, checked against the schema when loaded."""

    def __init__(self, text: str, schema_text: str, source: str = "policy") -> None:
        inviolable = INVIOLABLE_FILE.read_text(encoding="utf-8")
        # Each by itself: what is wrong with one must not hide in the other.
        for part, name in ((text, source), (inviolable, str(INVIOLABLE_FILE))):
            _check(part, schema_text, name)
        self.source = source
        self.texts = {source: text, str(INVIOLABLE_FILE): inviolable}
        self._policies = cedarpy.PolicySet.from_str(f"{text}\n{inviolable}")
        # The caches belong to this policy: another policy gives other answers.
        self._cached_areas = lru_cache(maxsize=_CACHED_ANSWERS)(self._find_areas)
        self._cached_somewhere = lru_cache(maxsize=_CACHED_ANSWERS)(self._find_somewhere)
        # Parsing entities takes as long as deciding; who asks, and where, comes again and again.
        self._known = lru_cache(maxsize=_CACHED_ANSWERS)(_actor_in_area)

    @classmethod
    def load(cls, override: Path | None = None) -> "Policy":
        """Read the policies from `override` if that file exists, else those that came with the hub.

        Raises:
            PolicyError: unreadable, not Cedar, or not fitting the schema; names the file.
        """
        path = override if override is not None and override.exists() else POLICY_FILE
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PolicyError(
                f"Cannot read the policy file {path}: {error}.",
                remedy="Mend the file, or remove it to use the policies that came with the hub.",
            ) from error
        return cls(text, SCHEMA_FILE.read_text(encoding="utf-8"), str(path))

    def authorize(
        self,
        actor: Actor,
        action: str,
        resource: Resource,
        circumstances: Circumstances = ORDINARY,
    ) -> Decision:
        """Decide whether `actor` may do `action` to `resource`, and say which policies said so.

        Raises:
            ValueError: the action or the kind of resource does not exist, or the action is not
                one that is done to things of this kind (a mistake in the code).
        """
        if action not in ACTIONS:
            raise ValueError(f"unknown action {action!r}")
        cedar_type = _CEDAR_TYPE.get(resource.kind)
        if cedar_type is None:
            raise ValueError(f"unknown kind of resource {resource.kind!r}")
        if cedar_type != _CEDAR_TYPE_OF_ACTION[action]:
            raise ValueError(f"{action!r} is not done to a {resource.kind!r}")
        if actor.kind == "anonymous":
            return Decision(allowed=False)
        principal, target = _principal_uid(actor), _target(cedar_type, resource)
        if target["uid"] == principal:
            # An account that asks about itself is one entity: principal and resource at once.
            both = {**_principal(actor), "parents": target["parents"]}
            entities = _entities([both, *_area_chain(resource.area)])
        else:
            entities = self._known(actor, resource.area).with_added_json_str(_json([target]))
        result = cedarpy.is_authorized(
            {
                "principal": principal,
                "action": _uid("Action", action),
                "resource": target["uid"],
                "context": _context(circumstances),
            },
            self._policies,
            entities,
        )
        if result.diagnostics.errors:
            # A policy that fails to evaluate counts as absent; so this denies.
            _log.error("policy_failed", action=action, errors=result.diagnostics.errors)
            return Decision(allowed=False)
        names = result.diagnostics.id_annotations_by_reason
        return Decision(
            allowed=result.allowed,
            policies=tuple(sorted(names.get(r, r) for r in result.diagnostics.reasons)),
        )

    def areas(self, actor: Actor, action: str, probe: Resource | None = None) -> list[str]:
        """Return the widest areas in which `actor` may do `action` to something by a role.

        `[]` is nothing and `[""]` is the whole site; `access.policy.areas.in_areas` makes the
        condition for a query out of it. A thing found through it may still be denied by its own
        attributes (its kind of place) or by the circumstances, which `authorize` looks at; asked
        here are the widest ones. What consent opens (the own household, a live grant) is one
        camera and no area, so it never widens this; see `somewhere` and `access.scope`. With
        `probe` only things with its attributes count, wherever they lie.
        """
        if action not in ACTIONS:
            raise ValueError(f"unknown action {action!r}")
        return list(self._cached_areas(actor.kind, actor.bindings, actor.scopes, action, probe))

    def somewhere(self, actor: Actor, action: str) -> bool:
        """Say whether there can be anything to which `actor` may do `action`.

        Beside the roles this counts the own household and consent that others could give. It is
        the question of the door before the thing itself is known, and never a filter.
        """
        if self.areas(actor, action):
            return True
        return actor.kind == "account" and self._cached_somewhere(
            actor.bindings, bool(actor.households), action
        )

    def actions(self, actor: Actor) -> list[str]:
        """Return every action that `actor` may do somewhere, sorted."""
        return sorted(action for action in ACTIONS if self.somewhere(actor, action))

    def _find_areas(
        self,
        kind: Any,
        bindings: tuple[RoleBinding, ...],
        scopes: frozenset[str],
        action: str,
        probe: Resource | None,
    ) -> tuple[str, ...]:
        actor = Actor(kind=kind, bindings=bindings, scopes=scopes)
        probes = _probes(action) if probe is None else (probe,)
        found = [
            area
            for area in {"", *(binding.area for binding in bindings)}
            if any(
                self.authorize(
                    actor, action, replace(probe, id="probe", area=area), _WIDEST
                ).allowed
                for probe in probes
            )
        ]
        return tuple(widest(found))

    def _find_somewhere(
        self, bindings: tuple[RoleBinding, ...], in_household: bool, action: str
    ) -> bool:
        own = frozenset({_PROBE_HOUSEHOLD}) if in_household else frozenset[UUID]()
        actor = Actor(kind="account", bindings=bindings, households=own)
        home = str(_PROBE_HOUSEHOLD)
        kind = _KIND_OF_ACTION[action]
        thing = Resource(kind, id=home, place_kind="home", household=home)
        return any(
            self.authorize(actor, action, replace(thing, area=area), circumstances).allowed
            for area in {"", *(binding.area for binding in bindings)}
            for circumstances in (_SHARED, _ALARMED)
        )


def _check(text: str, schema_text: str, source: str) -> None:
    result = cedarpy.validate_policies(text, schema_text)
    if not result.validation_passed:
        raise PolicyError(
            f"{source} is not a valid policy: " + "; ".join(str(e) for e in result.errors),
            remedy="Mend the file, or remove it to use the policies that came with the hub.",
        )


@cache
def _probes(action: str) -> tuple[Resource, ...]:
    """Return one thing of each kind of place that `action` could be done to."""
    kind = _KIND_OF_ACTION[action]
    if _CEDAR_TYPE[kind] not in _WITH_PLACE:
        return (Resource(kind),)
    return tuple(Resource(kind, place_kind=place, residents_may_watch=True) for place in _PLACES)


@lru_cache(maxsize=64)
def _context(circumstances: Circumstances) -> str:
    return orjson.dumps(circumstances).decode()


def _uid(kind: str, name: str) -> dict[str, str]:
    return {"type": kind, "id": name}


def _json(entities: list[Entity]) -> str:
    return orjson.dumps(entities).decode()


def _entities(entities: list[Entity]) -> cedarpy.Entities:
    return cedarpy.Entities.from_json_str(_json(entities))


def _actor_in_area(actor: Actor, area: str) -> cedarpy.Entities:
    return _entities([_principal(actor), *_area_chain(area)])


def _principal_uid(actor: Actor) -> dict[str, str]:
    name = str(actor.id) if actor.id is not None else ""
    return _uid("Service" if actor.kind == "service" else "Account", name)


def _area_set(bindings: tuple[RoleBinding, ...], role: str) -> list[Entity]:
    return [{"__entity": _uid("Area", b.area)} for b in bindings if b.role.value == role]


def _principal(actor: Actor) -> Entity:
    if actor.kind == "service":
        attributes: Entity = {
            "service": _area_set(actor.bindings, Role.SERVICE.value),
            "scopes": sorted(actor.scopes),
        }
    else:
        attributes = {role: _area_set(actor.bindings, role) for role in _ROLE_SETS}
        attributes["households"] = [
            {"__entity": _uid("Household", str(household))} for household in actor.households
        ]
    return {"uid": _principal_uid(actor), "attrs": attributes, "parents": []}


def _target(cedar_type: str, resource: Resource) -> Entity:
    attributes: Entity = {}
    if cedar_type in _WITH_PLACE:
        attributes["place_kind"] = resource.place_kind
    if cedar_type == "Camera":
        attributes["residents_may_watch"] = resource.residents_may_watch
    elif cedar_type == "Account":
        attributes = {role: [] for role in (*_ROLE_SETS, "households")}
    parents = [_uid("Area", resource.area)]
    if resource.household and cedar_type != "Household":
        parents.append(_uid("Household", resource.household))
    return {
        "uid": _uid(cedar_type, resource.id or resource.kind),
        "attrs": attributes,
        "parents": parents,
    }


def _area_chain(area: str) -> list[Entity]:
    chain = ancestors(area)
    return [
        {"uid": _uid("Area", path), "attrs": {}, "parents": [_uid("Area", above)]}
        for path, above in pairwise(chain)
    ] + [{"uid": _uid("Area", ""), "attrs": {}, "parents": []}]
