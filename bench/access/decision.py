"""What one decision costs: the policies in force, and beside them what others would pay.

Each decision is about a camera that was never asked about before, by one of some accounts that
come again, as on a wall of cameras. Not counted is what a request costs besides.
"""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cedarpy

from access.policy import Actor, Circumstances, Policy, Resource, Role, RoleBinding
from access.policy.actions import CEDAR_TYPE
from access.policy.entities import area_chain, context, principal, principal_uid, target, uid
from core.ids import new_id

AREA = "county/township/community"
PEOPLE = 16
NAMED = Circumstances(purpose="incident", reference=True)

Asked = tuple[Actor, str, Resource, Circumstances]


def run(*, long: bool) -> dict[str, Any]:
    """Return microseconds a decision (median and 95th percentile) and how others compare."""
    policy = Policy.load()
    count = 20_000 if long else 4_000
    questions = make_questions(count)
    own = measure(lambda q: policy.authorize(*q).allowed, questions)
    text = "\n".join(found.text for found in policy.texts)
    anew = measure(lambda q: from_text(text, q), questions[: count // 20])
    whole = cedarpy.PolicySet.from_str(text)
    unsliced = measure(lambda q: from_text(whole, q), questions[: count // 4])
    figures = {
        "decision_us_p50": round(statistics.median(own), 1),
        "decision_us_p95": round(percentile(own, 95), 1),
        "decision_policies": len(policy.texts),
        # The same policies as text with each question, as most samples of Cedar do it.
        "decision_text_each_time_ratio": ratio(anew, own),
        # The same policies parsed once, but all of them asked each time, with entities as JSON.
        "decision_all_policies_ratio": ratio(unsliced, own),
    }
    print(f"  {figures}", file=sys.stderr)
    return figures


def make_questions(count: int) -> list[Asked]:
    """Return questions, half of them a yes: live views and snapshots, homes and halls."""
    actors = [
        Actor(
            kind="account",
            id=new_id(),
            bindings=(RoleBinding(Role.SUPERVISOR if n % 2 else Role.OPERATOR, AREA),),
        )
        for n in range(PEOPLE)
    ]
    places = ("public_space", "home")
    household = str(new_id())
    return [
        (
            actors[n % PEOPLE],
            "camera.snapshot" if n % 3 == 0 else "camera.live",
            Resource(
                "camera",
                str(new_id()),
                f"{AREA}/garden-{n % 8}",
                places[n // 2 % 2],
                household=household if n // 2 % 2 else "",
            ),
            NAMED,
        )
        for n in range(count)
    ]


def measure(decide: Callable[[Asked], bool], questions: list[Asked]) -> list[float]:
    """Return microseconds for each question, after some that do not count."""
    for question in questions[:200]:
        decide(replace_id(question))
    taken = []
    for question in questions:
        started = time.perf_counter_ns()
        decide(question)
        taken.append((time.perf_counter_ns() - started) / 1000)
    return taken


def replace_id(question: Asked) -> Asked:
    """Return the same question about another camera."""
    actor, action, resource, circumstances = question
    return actor, action, replace(resource, id=str(new_id())), circumstances


def from_text(policies: str | cedarpy.PolicySet, question: Asked) -> bool:
    """Decide with nothing kept from one question to the next but, maybe, parsed policies."""
    actor, action, resource, circumstances = question
    thing = target(CEDAR_TYPE[resource.kind], resource)
    entities = [principal(actor), thing, *area_chain(resource.area)]
    return cedarpy.is_authorized(
        {
            "principal": principal_uid(actor),
            "action": uid("Action", action),
            "resource": thing["uid"],
            "context": context(circumstances),
        },
        policies,
        entities,
    ).allowed


def percentile(values: list[float], part: int) -> float:
    """Return the value below which `part` percent of `values` lie."""
    return statistics.quantiles(values, n=100)[part - 1]


def ratio(others: list[float], own: list[float]) -> float:
    """Return how many times longer the others take, by medians."""
    return round(statistics.median(others) / statistics.median(own), 1)
