"""A dispatch policy as an incident keeps it: what was in force when it opened.

Plain JSON, so that `incident.policy` is what these functions read. `{}` is an incident older than
policies, or one of a site that has none: its limits are those of the settings.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypedDict, cast

STANDING_TARGETS = ("duty", "patrol", "supervisor", "department")
"""Targets that people hold by a role; each may be followed by +n, the n-th level above."""

OTHER_TARGETS = ("contacts", "assignee", "handler", "acknowledger")
ROOM = "room:"
CHANNELS = ("push", "email", "sms", "voice", "wecom", "dingtalk", "feishu")

HIGHEST = 9
"""The largest n of a target's +n: more levels than a tree of areas has."""


class SnapshotStep(TypedDict):
    """Who is told `after_s` seconds after the ringing began; no channels: their consoles only."""

    after_s: float
    targets: list[str]
    channels: list[str]
    whistle: bool


class Limits(TypedDict):
    """Seconds that each step of the loop may take."""

    triage_s: float
    dispatch_s: float
    handle_s: float
    feedback_s: float
    close_s: float
    archive_s: float
    suspend_max_s: float
    reopen_s: float


class PolicySnapshot(TypedDict):
    """A policy as it was when the incident opened. Shared between incidents: never changed."""

    id: str
    version: int
    triage: Literal["skip", "required"]
    steps: list[SnapshotStep]
    repeat_s: float
    progress_s: float  # 0: never rung again for lack of progress
    limits: Limits
    verifier: Literal["anyone", "other"]
    result_photos: int


def snapshot_of(policy: Mapping[str, Any]) -> PolicySnapshot | None:
    """Return `incident.policy` as a snapshot; None for the `{}` of an incident without one."""
    return cast(PolicySnapshot, policy) if policy.get("steps") else None


def step_of(policy: PolicySnapshot, index: int) -> SnapshotStep:
    """Return step `index`; what comes after the last step repeats the last, the widest."""
    steps = policy["steps"]
    return steps[min(index, len(steps) - 1)]


def due_after_s(policy: PolicySnapshot, index: int) -> float:
    """Return how many seconds after the ringing began step `index` is due."""
    steps = policy["steps"]
    beyond = max(0, index - len(steps) + 1)
    return step_of(policy, index)["after_s"] + beyond * policy["repeat_s"]


def split_target(target: str) -> tuple[str, int]:
    """Return a target's word and how many levels above it is meant: `supervisor+2` is 2."""
    word, plus, above = target.partition("+")
    return (word, int(above)) if plus else (word, 0)
