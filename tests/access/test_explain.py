"""Explanations: the policy that decided, or the smallest changes that would permit it."""

from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from access.policy import ORDINARY, Actor, Circumstances, Policy, Resource, Role, RoleBinding
from access.policy.explain import Explanation, Question, explain
from access.policy.matrix import role_matrix
from core.ids import new_id
from tests.support.examples import examples

HERE = "demo/here"
HOUSEHOLD = UUID(int=7)
HOME = Resource("camera", "1", HERE, "home", household=str(HOUSEHOLD))
GATE = Resource("camera", "1", HERE, "public_space")


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy.load()


def ask(
    policy: Policy,
    role: Role,
    action: str,
    resource: Resource,
    circumstances: Circumstances = ORDINARY,
    area: str = HERE,
) -> Explanation:
    actor = Actor(kind="account", id=new_id(), bindings=(RoleBinding(role, area),))
    return explain(policy, Question(actor, action, resource, circumstances))


def test_a_yes_names_the_policy_its_file_and_line(policy: Policy) -> None:
    found = ask(policy, Role.OPERATOR, "camera.live", GATE)
    (made_by,) = found.policies
    assert (found.allowed, made_by.id, made_by.effect) == (True, "operator-video", "permit")
    lines = Path(made_by.file).read_text(encoding="utf-8").splitlines()
    assert lines[made_by.line - 1] == '@id("operator-video")'
    assert found.missing == ()


def test_a_no_names_the_forbid_and_what_would_open_a_home(policy: Policy) -> None:
    found = ask(policy, Role.DUTY_STAFF, "camera.live", HOME)
    assert [p.id for p in found.policies] == ["home-only-by-consent"]
    assert {(m.needs, m.policies[0].id) for m in found.missing} == {
        (("to be a member of the household",), "household-home"),
        (("a share grant of the household that is live now",), "share-opens-home"),
        (("to answer a live alarm of the household",), "alarm-opens-home"),
    }


def test_several_things_may_be_missing_at_once(policy: Policy) -> None:
    found = ask(policy, Role.PATROL, "camera.snapshot", GATE)
    assert not found.allowed
    assert {m.needs for m in found.missing} == {
        ("a purpose and what it refers to", f"the role {role} in {HERE}")
        for role in ("operator", "supervisor")
    }


def test_no_change_of_roles_lets_an_administrator_see(policy: Policy) -> None:
    found = ask(policy, Role.ADMINISTRATOR, "camera.live", GATE)
    assert found.missing
    for missing in found.missing:
        assert "an account that is not also administrator" in missing.needs


def test_what_no_change_permits_says_so(policy: Policy) -> None:
    found = ask(policy, Role.SUPERVISOR, "worker.heartbeat", Resource("worker", "1", HERE))
    assert (found.allowed, found.policies, found.missing) == (False, (), ())


@settings(max_examples=examples(60), deadline=None)
@given(
    role=st.sampled_from([role for role in Role if role is not Role.SERVICE]),
    action=st.sampled_from(["camera.live", "camera.snapshot", "camera.read", "camera.mask"]),
    place=st.sampled_from(["public_space", "shared_space", "home"]),
)
def test_an_explanation_decides_as_the_door_does(
    policy: Policy, role: Role, action: str, place: str
) -> None:
    household = str(HOUSEHOLD) if place == "home" else ""
    thing = Resource("camera", "1", HERE, place, household=household)
    actor = Actor(kind="account", id=new_id(), bindings=(RoleBinding(role, HERE),))
    found = explain(policy, Question(actor, action, thing, ORDINARY))
    decision = policy.authorize(actor, action, thing)
    assert found.allowed == decision.allowed
    assert tuple(sorted(p.id for p in found.policies)) == decision.policies


def test_the_table_of_roles_says_what_the_policy_says(policy: Policy) -> None:
    table = role_matrix(policy)
    assert table["camera.live"] == {
        "resident": "shared, share",
        "duty_staff": "shared, share, alarm",
        "patrol": "share",
        "department": "share",
        "operator": "public, share",
        "supervisor": "public, shared, share, alarm",
        "auditor": "",
        "administrator": "",
        "household": "home",
    }
    assert table["ledger.read"]["auditor"] == "yes"
    assert not any(table["worker.heartbeat"].values())
