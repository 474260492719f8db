"""The policy: Cedar policies parsed once, asked for every action of every actor.

The policies and their schema lie beside this module, so that a wheel carries them;
`configs/policies/` links to them for the reader. A centre's own version is a file
`policies/access.cedar` in the data directory.
"""

from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import cedarpy
import orjson

from access.policy.areas import ancestors, widest
from access.policy.types import Actor, Decision, Resource, Role, RoleBinding
from core.errors import HubError
from core.logging import get_logger

POLICY_FILE = Path(__file__).with_name("access.cedar")
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
        "zone.read",
        "zone.write",
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
    "account": ("account.list", "account.create", "account.update", "account.grant"),
    "site": (
        "session.read",
        "session.delete",
        "token.list",
        "token.create",
        "token.delete",
        "signal.post",
        "event.stream",
        "worker.heartbeat",
        "view.list",
        "metrics.read",
        "system.read",
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
    "incident": "Incident",
    "account": "Account",
    "session": "Site",
    "token": "Site",
    "signal": "Site",
    "event": "Site",
    "worker": "Site",
    "view": "Site",
    "metrics": "Site",
    "system": "Site",
}
_PROBES: dict[str, tuple[Resource, ...]] = {
    "camera": tuple(
        Resource("camera", place_kind=kind) for kind in ("public_space", "shared_space", "home")
    ),
    "incident": (Resource("incident"),),
    "account": (Resource("account"),),
    "site": (Resource("system"),),
}
_PROBES_BY_ACTION = {
    action: _PROBES[kind] for kind, actions in ACTIONS_BY_KIND.items() for action in actions
}
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
        result = cedarpy.validate_policies(text, schema_text)
        if not result.validation_passed:
            raise PolicyError(
                f"{source} is not a valid policy: " + "; ".join(str(e) for e in result.errors),
                remedy="Mend the file, or remove it to use the policies that came with the hub.",
            )
        self.source = source
        self._policies = cedarpy.PolicySet.from_str(text)
        # The cache belongs to this policy: another policy gives other answers.
        self._cached_areas = lru_cache(maxsize=_CACHED_ANSWERS)(self._find_areas)
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

    def authorize(self, actor: Actor, action: str, resource: Resource) -> Decision:
        """Decide whether `actor` may do `action` to `resource`, and say which policies said so.

        Raises:
            ValueError: the action or the kind of resource does not exist (a mistake in the code).
        """
        if action not in ACTIONS:
            raise ValueError(f"unknown action {action!r}")
        cedar_type = _CEDAR_TYPE.get(resource.kind)
        if cedar_type is None:
            raise ValueError(f"unknown kind of resource {resource.kind!r}")
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
            {"principal": principal, "action": _uid("Action", action), "resource": target["uid"]},
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

    def areas(self, actor: Actor, action: str) -> list[str]:
        """Return the widest areas in which `actor` may do `action` to something.

        `[]` is nothing and `[""]` is the whole site; `access.policy.areas.in_areas` makes the
        condition for a query out of it. A thing found through it may still be denied by its own
        attributes (its kind of place), which `authorize` looks at.
        """
        if action not in ACTIONS:
            raise ValueError(f"unknown action {action!r}")
        return list(self._cached_areas(actor.kind, actor.bindings, actor.scopes, action))

    def actions(self, actor: Actor) -> list[str]:
        """Return every action that `actor` may do somewhere, sorted."""
        return sorted(action for action in ACTIONS if self.areas(actor, action))

    def _find_areas(
        self,
        kind: Any,
        bindings: tuple[RoleBinding, ...],
        scopes: frozenset[str],
        action: str,
    ) -> tuple[str, ...]:
        actor = Actor(kind=kind, bindings=bindings, scopes=scopes)
        found = [
            area
            for area in {"", *(binding.area for binding in bindings)}
            if any(
                self.authorize(
                    actor,
                    action,
                    Resource(probe.kind, id="probe", area=area, place_kind=probe.place_kind),
                ).allowed
                for probe in _PROBES_BY_ACTION[action]
            )
        ]
        return tuple(widest(found))


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
    return {"uid": _principal_uid(actor), "attrs": attributes, "parents": []}


def _target(cedar_type: str, resource: Resource) -> Entity:
    attributes: Entity = {}
    if cedar_type == "Camera":
        attributes["place_kind"] = resource.place_kind
    elif cedar_type == "Account":
        attributes = {role: [] for role in _ROLE_SETS}
    return {
        "uid": _uid(cedar_type, resource.id or resource.kind),
        "attrs": attributes,
        "parents": [_uid("Area", resource.area)],
    }


def _area_chain(area: str) -> list[Entity]:
    chain = ancestors(area)
    return [
        {"uid": _uid("Area", path), "attrs": {}, "parents": [_uid("Area", above)]}
        for path, above in pairwise(chain)
    ] + [{"uid": _uid("Area", ""), "attrs": {}, "parents": []}]
