"""Why the policy says yes or no, and what would have to be otherwise for a no to become a yes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from uuid import UUID

from access.policy.service import Policy
from access.policy.text import PolicyText
from access.policy.types import Actor, Circumstances, Resource, Role, RoleBinding

MOST_CHANGES = 3
"""How many things that are missing at once are looked for."""

_SEES_NO_VIDEO = (Role.ADMINISTRATOR, Role.AUDITOR)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the policy."""

    actor: Actor
    action: str
    resource: Resource
    circumstances: Circumstances


@dataclass(frozen=True, slots=True)
class Missing:
    """What would have to hold as well, and the policies that would permit it then."""

    needs: tuple[str, ...]
    policies: tuple[PolicyText, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision, the policies that made it, and what is missing if it is a no.

    Of a no, `policies` are the forbids that said so; without any, nothing permits it. `missing`
    holds the smallest changes that would permit it, all equally small.
    """

    allowed: bool
    policies: tuple[PolicyText, ...]
    missing: tuple[Missing, ...]


@dataclass(frozen=True, slots=True)
class _Change:
    """One thing that could be otherwise; of changes of the same sort only one is tried."""

    sort: str
    needs: str
    apply: Callable[[Question], Question]


def explain(policy: Policy, question: Question) -> Explanation:
    """Ask `policy` and say what made the decision.

    Raises:
        ValueError: as `Policy.authorize` does.
    """
    decision = policy.authorize(
        question.actor, question.action, question.resource, question.circumstances
    )
    return Explanation(
        allowed=decision.allowed,
        policies=_texts(policy, question.action, decision.policies),
        missing=() if decision.allowed else tuple(_smallest(policy, question)),
    )


def _smallest(policy: Policy, question: Question) -> list[Missing]:
    changes = list(_changes(question))
    for size in range(1, MOST_CHANGES + 1):
        found = []
        for chosen in combinations(changes, size):
            if len({change.sort for change in chosen}) < size:
                continue
            asked = question
            for change in chosen:
                asked = change.apply(asked)
            decision = policy.authorize(
                asked.actor, asked.action, asked.resource, asked.circumstances
            )
            if decision.allowed:
                needs = tuple(change.needs for change in chosen)
                found.append(Missing(needs, _texts(policy, question.action, decision.policies)))
        if found:
            return found
    return []


def _changes(question: Question) -> Iterator[_Change]:
    """Yield what a person, the household or an administrator could change."""
    actor, resource, given = question.actor, question.resource, question.circumstances
    if not given.purpose or not given.reference:
        yield _given(
            "purpose", "a purpose and what it refers to", purpose="incident", reference=True
        )
    if resource.household and UUID(resource.household) not in actor.households:
        yield _Change("role", "to be a member of the household", _lives_there)
    if not given.grant:
        yield _given("grant", "a share grant of the household that is live now", grant="share")
        yield _given("grant", "to answer a live alarm of the household", grant="alarm")
    if not given.redacted:
        yield _given("redacted", "people and vehicles blurred in the picture", redacted=True)
    if not given.second_person:
        yield _given("second", "the approval of a second person", second_person=True)
    if resource.place_kind == "shared_space" and not resource.residents_may_watch:
        yield _Change("watch", "the camera opened to the residents of its area", _watched)
    if actor.home_waits:
        yield _Change("waits", "a day since somebody else set the account's password", _waited)
    held = {binding.role for binding in actor.bindings}
    blind = [role.value for role in _SEES_NO_VIDEO if role in held]
    if blind:
        yield _Change("blind", f"an account that is not also {' or '.join(blind)}", _not_blind)
    yield from (_role(role, resource.area) for role in Role if role is not Role.SERVICE)


def _given(sort: str, needs: str, **values: object) -> _Change:
    def apply(question: Question) -> Question:
        changed = replace(question.circumstances, **values)  # type: ignore[arg-type]
        return replace(question, circumstances=changed)

    return _Change(sort, needs, apply)


def _role(role: Role, area: str) -> _Change:
    def apply(question: Question) -> Question:
        bindings = (*question.actor.bindings, RoleBinding(role, area))
        return replace(question, actor=replace(question.actor, bindings=bindings))

    where = area or "the whole site"
    return _Change("role", f"the role {role.value} in {where}", apply)


def _lives_there(question: Question) -> Question:
    own = question.actor.households | {UUID(question.resource.household)}
    return replace(question, actor=replace(question.actor, households=own))


def _watched(question: Question) -> Question:
    return replace(question, resource=replace(question.resource, residents_may_watch=True))


def _waited(question: Question) -> Question:
    return replace(question, actor=replace(question.actor, home_waits=False))


def _not_blind(question: Question) -> Question:
    kept = tuple(b for b in question.actor.bindings if b.role not in _SEES_NO_VIDEO)
    return replace(question, actor=replace(question.actor, bindings=kept))


def _texts(policy: Policy, action: str, names: tuple[str, ...]) -> tuple[PolicyText, ...]:
    return tuple(t for t in policy.texts if t.id in names and t.about(action))
