"""Policies as people write them: what is accepted, and how every fault is said."""

from pathlib import Path

import pytest

from governance.dispatch.policies import DEFAULT_FILE, as_json
from governance.dispatch.reading import PoliciesError, read_text, read_value
from governance.incidents.kinds import ALARMS

ROOT = Path(__file__).resolve().parents[3]

REST = """
  - id: rest
    steps: [{after_s: 0, targets: [duty], channels: [push]}]
"""


def faults(text: str) -> list[tuple[int | None, str, str]]:
    with pytest.raises(PoliciesError) as caught:
        read_text(text)
    return [(f.line, f.field, f.message) for f in caught.value.faults]


def one(policy: str) -> tuple[int | None, str, str]:
    """Return the only fault of a policy that stands before one that is right."""
    (found,) = faults(f"policies:\n{policy}{REST}")
    return found


def test_the_example_is_what_comes_with_the_hub() -> None:
    example = ROOT / "configs" / "policies" / "dispatch.yaml"
    assert example.read_bytes() == DEFAULT_FILE.read_bytes()


def test_what_comes_with_the_hub_rings_for_life_as_it_must() -> None:
    """At once to contacts, duty and patrol; wider at 30, 60, 90 s; then again each minute."""
    found = {policy.id: policy for policy in read_text(DEFAULT_FILE.read_text()).policies}
    for name in ("alarms", "extreme"):
        policy = found[name]
        assert policy.triage == "skip"
        assert [step.after_s for step in policy.steps] == [0, 30, 60, 90]
        assert policy.steps[0].targets == ("contacts", "duty", "patrol")
        assert policy.steps[0].channels == ("push", "sms", "voice")
        assert [step.whistle for step in policy.steps] == [False, True, True, False]
        assert (policy.repeat_s, policy.progress_s) == (60, 180)
    assert set(found["alarms"].match.kinds) == set(ALARMS)
    for name in ("exercise", "test"):
        assert {s.channels for s in found[name].steps} == {()}
        assert {s.targets for s in found[name].steps} == {("duty",)}


def test_json_is_read_as_yaml_is_and_gives_the_same() -> None:
    found = read_text(DEFAULT_FILE.read_text())
    assert read_value({"policies": as_json(found)}) == found


@pytest.mark.parametrize(
    ("policy", "line", "field", "message"),
    [
        (
            "  - id: a\n    match: {kinds: [alarm_fier]}\n"
            "    steps: [{after_s: 0, targets: [duty]}]\n",
            3,
            "policies.a.match.kinds",
            "unknown kind 'alarm_fier'; did you mean 'alarm_fire'?",
        ),
        (
            "  - id: a\n    steps:\n      - {after_s: 0, targets: [duty]}\n"
            "      - after_s: 5\n        targets: [supervisr+1]\n",
            6,
            "policies.a.steps.1.targets",
            "unknown target 'supervisr+1'; did you mean 'supervisor'?",
        ),
        (
            "  - id: a\n    steps:\n      - after_s: 0\n        targets: [duty]\n"
            "        channels: [push, smss]\n",
            6,
            "policies.a.steps.0.channels",
            "unknown channel 'smss'; did you mean 'sms'?",
        ),
        (
            "  - id: a\n    steps: [{after_s: 0, targets: [contacts+1]}]\n",
            3,
            "policies.a.steps.0.targets",
            "'contacts' is somebody in particular and has no level above; "
            "+n goes with duty, patrol, supervisor, department",
        ),
        (
            "  - id: a\n    steps:\n      - {after_s: 0, targets: [duty]}\n"
            "      - {after_s: 0, targets: [duty]}\n",
            3,
            "policies.a.steps",
            "steps come in the order of their after_s: 0 s follows 0 s",
        ),
        (
            "  - id: a\n    steps: [{after_s: -1, targets: [duty]}]\n",
            3,
            "policies.a.steps.0.after_s",
            "Input should be greater than or equal to 0",
        ),
        (
            "  - id: a\n    match: {kinds: [other]}\n    steps: [{after_s: 0}]\n",
            4,
            "policies.a.steps",
            "at least one step needs a target: nobody would ever be told",
        ),
        (
            "  - id: a\n    stepz: []\n    steps: [{after_s: 0, targets: [duty]}]\n",
            3,
            "policies.a.stepz",
            "there is no such field",
        ),
        (
            "  - id: a\n    match:\n      times: [{from: 22:00, to: '06:00'}]\n"
            "    steps: [{after_s: 0, targets: [duty]}]\n",
            4,
            "policies.a.match.times.0.from",
            'write the time in quotes, as "22:00"',
        ),
        (
            "  - id: rest\n    steps: [{after_s: 0, targets: [duty]}]\n",
            5,
            "policies.rest.id",
            "two policies are called 'rest'",
        ),
        (
            "  - id: a\n    id: b\n    steps: [{after_s: 0, targets: [duty]}]\n",
            3,
            "policies.0.id",
            "written twice",
        ),
        # Life safety: a policy that a fire may come under.
        (
            "  - id: a\n    steps:\n      - {after_s: 10, targets: [duty]}\n",
            4,
            "policies.a.steps.0.after_s",
            "'alarm_fire' may come under this policy, and it is about lives: "
            "its first step is at 0 s",
        ),
        (
            "  - id: a\n    match: {times: [{from: '22:00', to: '06:00'}]}\n"
            "    triage: required\n    steps: [{after_s: 0, targets: [duty]}]\n",
            4,
            "policies.a.triage",
            "'alarm_fire' may come under this policy, and it is about lives: it skips triage",
        ),
    ],
)
def test_each_fault_names_its_line_and_field(
    policy: str, line: int, field: str, message: str
) -> None:
    assert one(policy) == (line, field, message)


@pytest.mark.parametrize(
    ("step", "more", "field"),
    [
        ("contacts", "", "policies.a.steps.0.targets"),
        ("assignee, handler, acknowledger", "", "policies.a.steps.0.targets"),
        ("'room:Fire brigade'", "", "policies.a.steps.0.targets"),
        ("department", "", "policies.a.steps.0.targets"),
        ("duty", "    repeat_s: 31536000\n", "policies.a.repeat_s"),
    ],
)
def test_no_policy_silences_an_alarm(step: str, more: str, field: str) -> None:
    """Whom the first step names must be there: a first step that tells nobody is silence."""
    steps = f"    steps: [{{after_s: 0, targets: [{step}], channels: [push]}}]\n{more}"
    found = faults(f"policies:\n  - id: a\n    match: {{kinds: [alarm_medical]}}\n{steps}{REST}")
    assert [name for _, name, _ in found] == [field]
    assert "about lives" in found[0][2]
    # Where no alarm can come under it, it is the centre's own business.
    read_text(f"policies:\n  - id: a\n    match: {{kinds: [camera_offline]}}\n{steps}{REST}")


def test_a_slow_policy_is_allowed_where_no_alarm_can_come_under_it() -> None:
    slow = "    steps: [{after_s: 600, targets: [duty]}]\n    triage: required\n"
    read_text(f"policies:\n  - id: a\n    match: {{kinds: [intrusion]}}\n{slow}{REST}")
    read_text(f"policies:\n  - id: a\n    match: {{statuses: [exercise]}}\n{slow}{REST}")
    alarms = "  - id: b\n    match: {kinds: [alarm_fire, alarm_medical, alarm_security]}\n"
    fast = "    steps: [{after_s: 0, targets: [duty]}]\n"
    # Behind a policy that takes every alarm, but not behind one that takes them in one area.
    read_text(f"policies:\n{alarms}{fast}  - id: a\n{slow}{REST}")
    somewhere = alarms.replace("match: {", "match: {areas: [demo], ")
    assert faults(f"policies:\n{somewhere}{fast}  - id: a\n{slow}{REST}")


def test_the_last_policy_takes_everything() -> None:
    text = "policies:\n  - id: a\n    match: {kinds: [other]}\n"
    ((line, field, message),) = faults(f"{text}    steps: [{{after_s: 0, targets: [duty]}}]\n")
    assert (line, field) == (3, "policies.a.match")
    assert message.startswith("the last policy has no conditions")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- ",
        "policies: 7",
        "policies: []",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
        "{" * 5000,
        "a: &a [1]\nb: [*a, *a]",
        "policies: !!python/object/apply:os.system [id]",
        "policies:\n\t- id: a",
        "policies: 2026-13-45",
        "\x00",
        "x" * 500_001,
        "? [a]\n: b",
        "%YAML 1.1\n---\n--- b",
    ],
)
def test_nonsense_is_a_clear_error(text: str) -> None:
    with pytest.raises(PoliciesError) as caught:
        read_text(text)
    assert caught.value.code == "invalid-policies"
    assert caught.value.detail["faults"]
