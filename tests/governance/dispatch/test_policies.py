"""Which policy an incident comes under, and how a set is written, kept and followed."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from access.ledger.service import Ledger
from core.clock import ManualClock
from core.database import Database
from core.errors import ConflictError
from governance.dispatch.policies import Policies, PolicyFacts, choose, compiled
from governance.dispatch.reading import read_text
from governance.dispatch.snapshot import due_after_s, snapshot_of, step_of
from governance.service import Governance
from tests.governance.conftest import Parts
from tests.governance.support import person

ZONE = ZoneInfo("Europe/Berlin")
STEPS = "    steps: [{after_s: 0, targets: [duty]}]\n"
TEXT = f"""
policies:
  # at night, in one place
  - id: night
    match:
      kinds: [intrusion]
      areas: [demo/riverside]
      times: [{{days: [fri, sat], from: "22:00", to: "06:00"}}]
{STEPS}
  - id: severe
    match: {{severities: [severe, extreme], statuses: [actual]}}
{STEPS}
  - id: rest
{STEPS}"""


def chosen(kind: str, severity: str, area: str, at: str, status: str = "actual") -> str:
    local = datetime.fromisoformat(at).replace(tzinfo=ZONE).astimezone(UTC)
    facts = PolicyFacts(kind, severity, status, area)
    return choose(compiled(read_text(TEXT), 3), facts, local, ZONE)["id"]


@pytest.mark.parametrize(
    ("kind", "severity", "area", "at", "expected"),
    [
        ("intrusion", "moderate", "demo/riverside/garden", "2026-11-20T22:00", "night"),  # Friday
        ("intrusion", "moderate", "demo/riverside", "2026-11-21T05:59", "night"),
        ("intrusion", "moderate", "demo/riverside", "2026-11-21T06:00", "rest"),
        ("intrusion", "moderate", "demo/riverside", "2026-11-22T05:59", "night"),  # of Saturday
        ("intrusion", "moderate", "demo/riverside", "2026-11-22T22:30", "rest"),  # Sunday
        ("intrusion", "moderate", "demo/riverside-east", "2026-11-20T23:00", "rest"),
        ("intrusion", "moderate", "demo", "2026-11-20T23:00", "rest"),
        ("intrusion", "severe", "demo", "2026-11-20T23:00", "severe"),
        ("person_down", "moderate", "demo/riverside", "2026-11-20T23:00", "rest"),
        # The clock is put forward at 02:00 and back at 03:00: the night goes on.
        ("intrusion", "moderate", "demo/riverside", "2026-03-29T03:00", "night"),
        ("intrusion", "moderate", "demo/riverside", "2026-10-25T02:30", "night"),
    ],
)
def test_the_first_policy_that_fits_counts(
    kind: str, severity: str, area: str, at: str, expected: str
) -> None:
    assert chosen(kind, severity, area, at) == expected


def test_an_exercise_does_not_come_under_a_policy_for_what_is_real() -> None:
    assert chosen("intrusion", "severe", "demo", "2026-11-20T12:00", "exercise") == "rest"


def test_a_snapshot_is_whole_and_says_when_each_step_is_due() -> None:
    policies = compiled(read_text(TEXT.replace("{after_s: 0", "{after_s: 0, whistle: true")), 7)
    snapshot = policies[0].snapshot
    assert snapshot["version"] == 7
    assert set(snapshot) == {
        *("id", "version", "triage", "steps", "repeat_s", "progress_s", "limits", "verifier"),
        "result_photos",
    }
    assert set(snapshot["limits"]) == {
        *("triage_s", "dispatch_s", "handle_s", "feedback_s", "close_s", "archive_s"),
        *("suspend_max_s", "reopen_s"),
    }
    assert step_of(snapshot, 99) == snapshot["steps"][-1]
    assert [due_after_s(snapshot, n) for n in (0, 1, 2)] == [0, 900, 1800]
    assert snapshot_of({}) is None
    assert snapshot_of(dict(snapshot)) == snapshot


async def put(kernel: Governance, version: int, text: str) -> int:
    async with kernel.database.transaction() as session:
        found = await kernel.policies.replace(
            session, person(), version=version, text=text, found=read_text(text)
        )
    return found.version


async def test_a_set_is_kept_as_it_was_written_and_counts_in_every_process(
    kernel: Governance, parts: Parts
) -> None:
    other = Policies(parts.database, parts.clock, parts.ledger, ZONE)
    async with kernel.database.read() as session:
        assert (await other.show(session)).version == 0
    assert await put(kernel, 0, TEXT) == 1
    async with kernel.database.read() as session:
        shown = await other.show(session)
        await other.load(session)
    assert shown.text == TEXT
    assert "# at night, in one place" in shown.text
    assert shown.updated_by == "Li Na"
    facts = PolicyFacts("intrusion", "severe", "actual", "demo")
    found = other.choose(facts, parts.clock.now())
    assert (found["id"], found["version"], other.version) == ("severe", 1, 1)


async def test_two_who_change_the_same_version_do_not_overwrite_each_other(
    kernel: Governance,
) -> None:
    assert await put(kernel, 0, TEXT) == 1
    with pytest.raises(ConflictError) as caught:
        await put(kernel, 0, TEXT.replace("rest", "other"))
    assert caught.value.code == "version-conflict"
    assert caught.value.detail["current"] == {"version": 1}
    assert await put(kernel, 1, TEXT.replace("rest", "other")) == 2


async def test_the_loop_follows_what_another_process_writes(
    database: Database, clock: ManualClock, kernel: Governance, parts: Parts
) -> None:
    import asyncio

    following = Policies(database, clock, Ledger(clock, parts.ledger.keys_dir), ZONE)
    task = asyncio.create_task(following.run())
    try:
        await put(kernel, 0, TEXT)
        for _ in range(200):
            clock.advance(1)
            await asyncio.sleep(0.01)
            if following.version == 1:
                break
    finally:
        task.cancel()
    assert following.version == 1


async def test_a_set_that_cannot_be_read_leaves_what_was_in_force(
    kernel: Governance, parts: Parts
) -> None:
    from governance.dispatch.models import DispatchPolicySet

    await put(kernel, 0, TEXT)
    async with kernel.database.read() as session:
        await kernel.policies.load(session)
    async with kernel.database.transaction() as session:
        session.add(
            DispatchPolicySet(
                version=2, text="policies: [{}]", body=[], updated_at=parts.clock.now()
            )
        )
    async with kernel.database.read() as session:
        await kernel.policies.load(session)
    assert kernel.policies.version == 1
    facts = PolicyFacts("intrusion", "severe", "actual", "demo")
    assert kernel.policies.choose(facts, parts.clock.now())["id"] == "severe"
