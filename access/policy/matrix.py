"""Who may what, as a table: every action against every role."""

from dataclasses import replace
from uuid import UUID

from access.policy.actions import ACTIONS, CEDAR_TYPE, KIND_OF_ACTION, PLACES, WITH_PLACE
from access.policy.service import Policy, widest_for
from access.policy.types import Actor, Resource, Role, RoleBinding

_HOUSEHOLD = UUID(int=1)
_SHORT = {"public_space": "public", "shared_space": "shared", "home": "home"}


def role_matrix(policy: Policy) -> dict[str, dict[str, str]]:
    """Return for every action what each role may do with it in its area.

    A cell is "" (no), "yes", or the kinds of place for which it is a yes. Asked is under the
    widest circumstances: purpose named, picture blurred where that is asked for, second person
    there. "share" and "alarm" stand for homes that a live grant opens; the last column is the
    household itself.
    """
    return {action: _row(policy, action) for action in sorted(ACTIONS)}


def _row(policy: Policy, action: str) -> dict[str, str]:
    people = [role for role in Role if role is not Role.SERVICE]
    cells = {
        role.value: _cell(policy, action, Actor(kind="account", bindings=(RoleBinding(role),)))
        for role in people
    }
    member = Actor(kind="account", households=frozenset({_HOUSEHOLD}))
    return {**cells, "household": _cell(policy, action, member)}


def _cell(policy: Policy, action: str, actor: Actor) -> str:
    kind, most = KIND_OF_ACTION[action], widest_for(action)
    household = str(_HOUSEHOLD) if actor.households else ""
    thing = Resource(kind, id="thing", household=household, residents_may_watch=True)
    if CEDAR_TYPE[kind] not in WITH_PLACE:
        return "yes" if policy.authorize(actor, action, thing, most).allowed else ""
    open_places = []
    for place in PLACES:
        here = replace(thing, place_kind=place)
        if policy.authorize(actor, action, here, most).allowed:
            open_places.append(_SHORT[place])
        elif place == "home":
            open_places += [
                grant
                for grant in ("share", "alarm")
                if policy.authorize(actor, action, here, replace(most, grant=grant)).allowed
            ]
    everywhere = open_places == list(_SHORT.values())
    return "yes" if everywhere else ", ".join(open_places)
