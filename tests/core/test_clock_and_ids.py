"""Time is injected; ids sort by time."""

import ast
import asyncio
from datetime import UTC, timedelta
from pathlib import Path

from core.clock import ManualClock, SystemClock
from core.ids import new_id

ROOT = Path(__file__).resolve().parents[2]


def test_ids_are_uuid_7_and_sort_by_the_time_they_were_made() -> None:
    ids = [new_id() for _ in range(5000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert {i.version for i in ids} == {7}


def test_the_system_clock_speaks_utc() -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() <= clock.monotonic()


async def test_the_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock()
    before = clock.now()
    woken: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    async with asyncio.TaskGroup() as tasks:
        for name, seconds in (("long", 10.0), ("short", 5.0)):
            tasks.create_task(sleeper(name, seconds))
        await asyncio.sleep(0)
        clock.advance(4.9)
        await asyncio.sleep(0)
        assert woken == []
        clock.advance(0.1)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert woken == ["short"]
        clock.jump(3600)
        await asyncio.sleep(0)
        assert woken == ["short"], "a corrected wall clock wakes nobody"
        clock.advance(5)
    assert woken == ["short", "long"]
    assert clock.now() - before == timedelta(seconds=3610)


def test_nothing_but_the_clock_asks_for_the_time() -> None:
    """`time.monotonic` for a measured duration is allowed; the wall clock is not."""
    banned = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time"}
    found = []
    for package in ("access", "camera_hub", "analytics", "governance", "api", "app", "core"):
        for path in (ROOT / package).rglob("*.py"):
            if path == ROOT / "core/clock.py":
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and ast.unparse(node) in banned:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []
