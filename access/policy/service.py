"""The policy: Cedar policies parsed once, asked for every action of every actor.

The policies and their schema lie beside this module, so that a wheel carries them;
`configs/policies/` links to them for the reader. A centre's own version is a file
`policies/access.cedar` in the data directory. The forbids of `inviolable.cedar` are added to
either.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

import cedarpy

from access.policy.actions import (
    ACTIONS,
    ACTIONS_BY_KIND,
    CEDAR_TYPE,
    CEDAR_TYPE_OF_ACTION,
    KIND_OF_ACTION,
    PLACES,
    SCOPES,
    WITH_PLACE,
)
from access.policy.areas import widest
from access.policy.entities import (
    actor_in_area,
    area_chain,
    context,
    parsed,
    principal,
    principal_uid,
    target,
    to_json,
    uid,
)
from access.policy.text import PolicyText, policies_in
from access.policy.types import (
    ORDINARY,
    Actor,
    Circumstances,
    Decision,
    Resource,
    RoleBinding,
)
from core.errors import HubError
from core.logging import get_logger

__all__ = ["ACTIONS", "ACTIONS_BY_KIND", "SCOPES", "Policy", "PolicyError"]

POLICY_FILE = Path(__file__).with_name("access.cedar")
INVIOLABLE_FILE = Path(__file__).with_name("inviolable.cedar")
SCHEMA_FILE = Path(__file__).with_name("access.cedarschema")

# What an area's work may ask for at most: a purpose, somebody else's approval, a blurred picture.
# Consent is not among it: it opens one home, and no area.
WIDEST = Circumstances(purpose="incident", reference=True, redacted=True, second_person=True)
_LISTENING = frozenset({"camera.listen", "recording.listen"})
_PROBE_HOUSEHOLD = UUID(int=0)
_CACHED_ANSWERS = 4096

_log = get_logger("access.policy")


class PolicyError(HubError):
    """The policy file cannot be read, is not Cedar, or does not fit the schema."""

    code = "policy"


class Policy:
    """Parsed Cedar policies, checked against the schema when loaded.

    `texts` are the policies as they are written, those that no centre can open up last.
    """

    def __init__(self, text: str, schema_text: str, source: str = "policy") -> None:
        self.source = source
        inviolable = INVIOLABLE_FILE.read_text(encoding="utf-8")
        # Each by itself: what is wrong with one must not hide in the other.
        self._take(
            [
                *_checked(text, schema_text, source),
                *_checked(inviolable, schema_text, str(INVIOLABLE_FILE)),
            ]
        )

    @classmethod
    def of(cls, texts: Sequence[PolicyText]) -> "Policy":
        """Return the policy that these texts make, which have been checked before."""
        policy = cls.__new__(cls)
        policy.source = "texts"
        policy._take(texts)
        return policy

    def _take(self, texts: Sequence[PolicyText]) -> None:
        self.texts = tuple(texts)
        # A policy that names its actions decides about no other one. Asking those that are about
        # the action, instead of all, is what makes a decision quick.
        about: dict[str, tuple[PolicyText, ...]] = {
            action: tuple(p for p in self.texts if p.about(action)) for action in ACTIONS
        }
        sets = {group: _policy_set(group) for group in set(about.values())}
        self._about = {action: (sets[group], group) for action, group in about.items()}
        # The caches belong to this policy: another policy gives other answers.
        self._cached_areas = lru_cache(maxsize=_CACHED_ANSWERS)(self._find_areas)
        self._cached_somewhere = lru_cache(maxsize=_CACHED_ANSWERS)(self._find_somewhere)
        # Parsing entities takes as long as deciding; who asks, and where, comes again and again.
        self._known = lru_cache(maxsize=_CACHED_ANSWERS)(actor_in_area)

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
        cedar_type = CEDAR_TYPE.get(resource.kind)
        if cedar_type is None:
            raise ValueError(f"unknown kind of resource {resource.kind!r}")
        if cedar_type != CEDAR_TYPE_OF_ACTION[action]:
            raise ValueError(f"{action!r} is not done to a {resource.kind!r}")
        if actor.kind == "anonymous":
            return Decision(allowed=False)
        who, thing = principal_uid(actor), target(cedar_type, resource)
        if thing["uid"] == who:
            # An account that asks about itself is one entity: principal and resource at once.
            both = {**principal(actor), "parents": thing["parents"]}
            entities = parsed([both, *area_chain(resource.area)])
        else:
            entities = self._known(actor, resource.area).with_added_json_str(to_json([thing]))
        policies, texts = self._about[action]
        result = cedarpy.is_authorized(
            {
                "principal": who,
                "action": uid("Action", action),
                "resource": thing["uid"],
                "context": context(circumstances),
            },
            policies,
            entities,
        )
        if result.diagnostics.errors:
            # A policy that fails to evaluate counts as absent; so this denies.
            _log.error("policy_failed", action=action, errors=result.diagnostics.errors)
            return Decision(allowed=False)
        made_by = (texts[int(r.removeprefix("policy"))].id for r in result.diagnostics.reasons)
        return Decision(allowed=result.allowed, policies=tuple(sorted(made_by)))

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
        return actor.kind != "anonymous" and self._cached_somewhere(
            actor.kind, actor.bindings, actor.scopes, bool(actor.households), action
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
        most = widest_for(action)
        found = [
            area
            for area in {"", *(binding.area for binding in bindings)}
            if any(
                self.authorize(actor, action, replace(probe, id="probe", area=area), most).allowed
                for probe in probes
            )
        ]
        return tuple(widest(found))

    def _find_somewhere(
        self,
        kind_of_actor: Any,
        bindings: tuple[RoleBinding, ...],
        scopes: frozenset[str],
        in_household: bool,
        action: str,
    ) -> bool:
        own = frozenset({_PROBE_HOUSEHOLD}) if in_household else frozenset[UUID]()
        actor = Actor(kind=kind_of_actor, bindings=bindings, scopes=scopes, households=own)
        home = str(_PROBE_HOUSEHOLD)
        kind = KIND_OF_ACTION[action]
        thing = Resource(kind, id=home, place_kind="home", household=home)
        most = widest_for(action)
        return any(
            self.authorize(
                actor, action, replace(thing, area=area), replace(most, grant=grant)
            ).allowed
            for area in {"", *(binding.area for binding in bindings)}
            for grant in ("share", "alarm")
        )


def widest_for(action: str) -> Circumstances:
    """Return the widest circumstances for an action: blurred pictures open most, and are silent."""
    return replace(WIDEST, redacted=False) if action in _LISTENING else WIDEST


def _checked(text: str, schema_text: str, source: str) -> list[PolicyText]:
    result = cedarpy.validate_policies(text, schema_text)
    problems = "; ".join(str(e) for e in result.errors)
    if result.validation_passed:
        try:
            return policies_in(text, source)
        except ValueError as error:
            problems = str(error)
    raise PolicyError(
        f"{source} is not a valid policy: {problems}",
        remedy="Mend the file, or remove it to use the policies that came with the hub.",
    )


def _policy_set(group: Sequence[PolicyText]) -> cedarpy.PolicySet:
    # Cedar numbers them in this order, which is how `authorize` knows which ones decided.
    return cedarpy.PolicySet.from_str("\n".join(policy.text for policy in group))


@cache
def _probes(action: str) -> tuple[Resource, ...]:
    """Return one thing of each kind of place that `action` could be done to."""
    kind = KIND_OF_ACTION[action]
    if CEDAR_TYPE[kind] not in WITH_PLACE:
        return (Resource(kind),)
    return tuple(Resource(kind, place_kind=place, residents_may_watch=True) for place in PLACES)
