"""A machine's clock that is set, or kept by nobody, is told once and told to be well once."""

from pathlib import Path
from typing import Any

import pytest

from app.doctor import Finding, _clock
from app.machine_clock import ClockWatch, journal_of, synchronised
from core.clock import ManualClock
from core.settings import Settings
from governance.incidents.kinds import KINDS, RECOVERING
from governance.signals.schemas import SignalIn


class Machine:
    """A machine whose clock the test sets, and what its watch told."""

    def __init__(self, journal: Path) -> None:
        self.clock = ManualClock()
        self.journal = journal
        self.told: list[dict[str, Any]] = []
        self.restart()

    def restart(self) -> None:
        """Begin the watch anew."""
        self.watch = ClockWatch(self.clock, self.told.append, self.journal, area="demo")

    def passes(self, seconds: float, kept: bool | None = None) -> list[tuple[str, str]]:
        """Let time pass; return phases and headlines of what was told."""
        self.told.clear()
        for _ in range(int(seconds / 5)):
            self.clock.advance(5)
            self.watch.look(kept)
        for signal in self.told:
            assert SignalIn.model_validate(signal).kind in RECOVERING
            assert KINDS[signal["type"]] == "machine_clock"
        return [(s["data"]["phase"], s["data"]["headline"]) for s in self.told]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Give a machine to which nothing has happened."""
    return Machine(tmp_path / "state" / "clock.json")


@pytest.mark.parametrize("by", [-3600.0, 3.0])
def test_a_clock_that_is_set_is_a_fault_until_it_was_steady(machine: Machine, by: float) -> None:
    assert machine.passes(60) == []
    machine.clock.jump(by)
    ((phase, headline),) = machine.passes(300)
    assert phase == "started"
    assert f"set by {by:+.0f} s" in headline
    assert [phase for phase, _ in machine.passes(600)] == ["ended"]
    assert machine.passes(1200) == []


def test_a_clock_that_is_set_again_is_the_same_fault(machine: Machine) -> None:
    machine.clock.jump(60)
    (first,) = (s["data"]["event_key"] for s in [*machine.told, *_told(machine, 5)])
    machine.clock.jump(-60)
    (again,) = _told(machine, 5)
    assert (again["data"]["phase"], again["data"]["event_key"]) == ("continuing", first)
    # Steady is counted from the last time.
    assert machine.passes(590) == []
    assert [phase for phase, _ in machine.passes(10)] == ["ended"]


def _told(machine: Machine, seconds: float) -> list[dict[str, Any]]:
    machine.passes(seconds)
    return list(machine.told)


def test_what_a_time_service_bends_is_no_fault(machine: Machine) -> None:
    for _ in range(100):
        machine.clock.jump(0.4)
        assert machine.passes(5, kept=True) == []


def test_a_clock_that_nobody_keeps_is_a_fault_after_a_while(machine: Machine) -> None:
    assert machine.passes(900, kept=False) == []
    assert machine.passes(5, kept=True) == []
    assert [phase for phase, _ in machine.passes(1800, kept=False)] == ["started"]
    # Where nobody can say it any more, nothing is said.
    assert machine.passes(1800, kept=None) == []
    assert [phase for phase, _ in machine.passes(60, kept=True)] == ["ended"]


def test_what_was_said_before_a_restart_ends_after_it(machine: Machine) -> None:
    machine.clock.jump(60)
    (begun,) = _told(machine, 5)
    machine.restart()
    (over,) = _told(machine, 600)
    assert over["data"]["phase"] == "ended"
    assert over["data"]["event_key"] == begun["data"]["event_key"]
    machine.restart()
    assert machine.passes(1200) == []


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"set": 1}'])
def test_a_broken_journal_is_none(machine: Machine, content: bytes) -> None:
    machine.journal.parent.mkdir()
    machine.journal.write_bytes(content)
    machine.restart()
    assert machine.passes(1200) == []


def test_whether_the_clock_is_kept_is_asked_of_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "timesync"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert synchronised(folder) is None
    folder.mkdir()
    assert synchronised(folder) is False
    (folder / "synchronized").touch()
    assert synchronised(folder) is True
    # The command knows better than the file; one that fails is as none.
    for answer, expected in (("echo no", False), ("echo yes", True), ("exit 1", True)):
        command = tmp_path / "timedatectl"
        command.write_text(f"#!/bin/sh\n{answer}\n")
        command.chmod(0o700)
        assert synchronised(folder) is expected


def test_the_doctor_says_that_the_clock_was_set(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    machine = Machine(journal_of(settings))

    def finding() -> Finding:
        return _clock(settings)

    before = finding()
    machine.clock.jump(60)
    machine.passes(5)
    if before.verdict == "ok":
        assert (finding().verdict, "set lately" in finding().detail) == ("warning", True)
    machine.passes(600)
    assert finding() == before
