"""The rules on scripted observations: dwell, hysteresis, cooldown, one event for many people."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from analytics.detectors.types import ModelInfo
from analytics.rules.engine import (
    BLIND_AFTER_S,
    CONTINUE_EVERY_S,
    END_AFTER_S,
    RuleEngine,
)
from analytics.rules.signal import Snapshot, detection_signal
from analytics.rules.types import Observation, RuleEvent
from analytics.tracking.types import TrackedObject
from analytics.zones.geometry import Box
from analytics.zones.schemas import Rule, Zone
from core.clock import ManualClock
from governance.signals.schemas import SignalIn
from tests.analytics.conftest import CAMERA, START

UTC_ZONE = ZoneInfo("UTC")
LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
IN_LEFT: Box = (0.1, 0.2, 0.2, 0.6)
OUT: Box = (0.7, 0.2, 0.8, 0.6)
LYING: Box = (0.1, 0.5, 0.4, 0.6)
MODEL = ModelInfo("person-fall", "0.1.2+sha256:abc", ("person",), (640, 640), "openvino", "CPU")


def zone(number: int = 1, **rule: Any) -> Zone:
    rules = (Rule.model_validate({"kind": "intrusion", **rule}),)
    return Zone(id=UUID(int=number), name="Pump house", polygon=LEFT, rules=rules)


def person(
    box: Box = IN_LEFT, *, track: int | None = 1, label: str = "person", confidence: float = 0.8
) -> TrackedObject:
    return TrackedObject(track, label, confidence, box)


class Script:
    """Feeds an engine five looks a second and remembers what it said, and when."""

    def __init__(self, *zones: Zone, aspect: float = 1.0) -> None:
        self.engine = RuleEngine(CAMERA, UTC_ZONE)
        self.engine.configure(zones, 0.0, START)
        self.aspect = aspect
        self.at_s = 0.0
        self.events: list[tuple[float, RuleEvent]] = []

    def look(self, *objects: TrackedObject) -> list[RuleEvent]:
        found = self.engine.update(
            Observation(self.at_s, START + timedelta(seconds=self.at_s), self.aspect, objects)
        )
        self.events += [(self.at_s, event) for event in found]
        self.at_s = round(self.at_s + 0.2, 3)
        return found

    def run(self, seconds: float, *objects: TrackedObject) -> None:
        for _ in range(round(seconds * 5)):
            self.look(*objects)

    @property
    def phases(self) -> list[str]:
        return [event.phase for _, event in self.events]

    def times(self, phase: str) -> list[float]:
        return [at_s for at_s, event in self.events if event.phase == phase]


def test_an_event_starts_goes_on_and_ends() -> None:
    script = Script(zone())
    script.run(2)
    script.run(25, person())
    script.run(10)
    assert script.phases == ["started", "continuing", "continuing", "ended"]
    assert script.times("started") == [2.0]
    assert script.times("continuing") == [2.0 + CONTINUE_EVERY_S, 2.0 + 2 * CONTINUE_EVERY_S]
    assert script.times("ended") == [pytest.approx(26.8 + END_AFTER_S)]
    assert len({event.event_key for _, event in script.events}) == 1
    started = script.events[0][1]
    assert started.observed_at == START + timedelta(seconds=2)
    assert started.confidence == 0.8


def test_several_people_are_one_event_and_its_key_counts_events() -> None:
    script = Script(zone(cooldown_seconds=0))
    script.run(2, person(track=1), person(track=2), person(track=3))
    script.run(2, person(track=3), person(track=4))
    assert script.phases == ["started"]
    assert len(script.events[0][1].objects) == 3
    script.run(5)
    script.run(2, person(track=9))
    keys = [event.event_key for _, event in script.events if event.phase == "started"]
    assert [key.rpartition(":")[2] for key in keys] == ["1", "2"]
    assert keys[0].startswith(f"{CAMERA.id}:intrusion:{UUID(int=1)}:")


def test_dwell_is_counted_for_each_object() -> None:
    script = Script(zone(dwell_seconds=3))
    for number in range(10):
        script.run(2, person(track=number))
    assert script.phases == []
    script.run(5, person(track=99))
    assert script.times("started") == [pytest.approx(20 + 3, abs=0.21)]


def test_dwell_survives_a_missed_look_but_not_a_walk_outside() -> None:
    script = Script(zone(dwell_seconds=3))
    script.run(2, person())
    script.run(1)
    script.run(1, person())
    assert script.phases == ["started"]
    other = Script(zone(dwell_seconds=3))
    other.run(2, person())
    other.run(3, person(OUT))
    other.run(2, person())
    assert other.phases == []


def test_after_an_event_the_rule_rests_for_its_cooldown() -> None:
    script = Script(zone(cooldown_seconds=20))
    script.run(2, person())
    script.run(10)
    assert script.phases == ["started", "ended"]
    ended = script.times("ended")[0]
    script.run(30, person(track=2))
    assert script.phases == ["started", "ended", "started", "continuing"]
    assert script.times("started")[1] == pytest.approx(ended + 20, abs=0.21)


def test_only_what_the_rule_names_counts_and_only_where_it_stands() -> None:
    script = Script(zone(objects=["car"]))
    script.run(3, person(), person(OUT, label="car"))
    assert script.phases == []
    script.run(1, person(label="car"))
    assert script.phases == ["started"]


def test_a_weak_or_unconfirmed_object_starts_nothing() -> None:
    script = Script(zone(confidence=0.6))
    script.run(3, person(confidence=0.55), person(track=None, confidence=0.9))
    assert script.phases == []


def test_who_counted_once_keeps_counting_at_the_edge_and_when_less_sure() -> None:
    script = Script(zone(confidence=0.6))
    script.look(person(confidence=0.7))
    on_the_line: Box = (0.46, 0.2, 0.56, 0.6)
    script.run(10, person(on_the_line, confidence=0.4))
    assert script.phases == ["started", "continuing"]
    script.run(10, person(on_the_line, confidence=0.3))
    assert script.phases[-1] == "ended"


def test_a_rule_sleeps_outside_its_hours_and_ends_its_event_then() -> None:
    hours = [{"days": ["sun"], "from": "08:00", "to": "08:01"}]
    script = Script(zone(schedule=hours))
    script.at_s = 50.0
    script.run(30, person())
    assert script.phases == ["started", "ended"]
    assert script.times("ended") == [60.0]


def test_a_person_on_the_ground_is_told_by_the_model() -> None:
    script = Script(zone(kind="person_down", dwell_seconds=2))
    script.run(5, person(label="person"))
    assert script.phases == []
    script.run(5, person(label="person_down"))
    assert script.phases == ["started"]
    assert script.events[0][1].certainty == "Likely"
    assert script.times("started") == [pytest.approx(7.0)]


@pytest.mark.parametrize(("aspect", "expected"), [(16 / 9, ["started"]), (0.3, [])])
def test_without_such_a_model_a_lying_shape_is_only_possible(
    aspect: float, expected: list[str]
) -> None:
    script = Script(zone(kind="person_down", dwell_seconds=2), aspect=aspect)
    script.run(5, person(LYING))
    assert script.phases == expected
    assert all(event.certainty == "Possible" for _, event in script.events)


def test_a_person_cut_off_by_the_lower_edge_is_not_judged() -> None:
    script = Script(zone(kind="person_down"))
    script.run(5, person((0.1, 0.7, 0.4, 0.995), label="person_down"))
    assert script.phases == []


def test_a_person_on_the_ground_is_an_intruder_too() -> None:
    script = Script(zone(objects=["person"]))
    script.run(1, person(label="person_down"))
    assert script.phases == ["started"]


def test_zones_change_under_a_running_event() -> None:
    script = Script(zone(1), zone(2))
    script.run(1, person())
    assert script.phases == ["started", "started"]
    renamed = Zone(**{**dict(zone(1)), "name": "Old pump house"})
    ended = script.engine.configure([renamed], script.at_s, START)
    assert [(event.phase, event.zone.id) for event in ended] == [("ended", UUID(int=2))]
    script.run(11, person())
    assert script.phases == ["started", "started", "continuing"]
    assert script.events[-1][1].zone.name == "Old pump house"
    ended = script.engine.configure([zone(1, enabled=False)], script.at_s, START)
    assert [event.phase for event in ended] == ["ended"]
    assert script.engine.labels == frozenset()


def test_two_rules_of_one_kind_are_two_events() -> None:
    both = Zone(
        id=UUID(int=1),
        name="Yard",
        polygon=LEFT,
        rules=(
            Rule(kind="intrusion"),
            Rule(kind="intrusion", objects=("car",)),
        ),
    )
    script = Script(both)
    script.run(1, person(), person(label="car", track=2))
    assert [event.rule_name for _, event in script.events] == ["intrusion", "intrusion-2"]
    assert len({event.event_key for _, event in script.events}) == 2


def test_a_blind_camera_does_not_end_an_event_at_once() -> None:
    script = Script(zone())
    script.look(person())
    at = START
    assert script.engine.tick(BLIND_AFTER_S - 1, at) == []
    assert [event.phase for event in script.engine.tick(BLIND_AFTER_S + 1, at)] == ["ended"]
    assert script.engine.tick(BLIND_AFTER_S + 60, at) == []


def test_time_without_a_look_does_not_count_as_absence() -> None:
    script = Script(zone())
    script.run(1, person(track=1))
    script.at_s += 8
    script.look(person(track=None))
    script.run(1, person(track=2))
    assert script.phases == ["started", "continuing"]
    script.at_s += 8
    script.run(END_AFTER_S - 0.2)
    assert script.phases == ["started", "continuing"]
    script.run(1)
    assert script.phases == ["started", "continuing", "ended"]


def find_values(value: object) -> Sequence[object]:
    if isinstance(value, dict):
        return [inner for item in value.values() for inner in find_values(item)]
    if isinstance(value, list):
        return [inner for item in value for inner in find_values(item)]
    return [value]


def test_no_track_id_leaves_the_pipeline() -> None:
    script = Script(zone(1))
    script.run(1, person(track=987654), person(track=987655))
    signal = detection_signal(
        ManualClock(),
        source="/workers/media-0",
        camera=CAMERA,
        event=script.events[0][1],
        model=MODEL,
        snapshot=None,
    )
    assert not any("98765" in str(value) for value in find_values(signal))
    assert set(signal["data"]["objects"][0]) == {"label", "confidence", "box"}


def test_a_signal_is_what_the_hub_reads() -> None:
    script = Script(zone(1, severity="extreme"))
    script.run(1, person(confidence=0.831234))
    clock = ManualClock(START + timedelta(seconds=3))
    signal = detection_signal(
        clock,
        source="/workers/media-0",
        camera=CAMERA,
        event=script.events[0][1],
        model=MODEL,
        snapshot=Snapshot(b"\xff\xd8", 768, 432),
    )
    read = SignalIn.model_validate(signal)
    assert read.data.headline == "Person in 'Pump house' at Gate 3"
    assert read.data.observed_at == START
    assert read.data.severity == "Extreme"
    assert read.data.model is not None
    assert read.data.model.version == "0.1.2+sha256:abc"
    assert signal["time"] == "2026-11-22T08:00:03.000Z"
    assert UUID(signal["id"]).version == 7
    assert signal["data"]["objects"] == [
        {"label": "person", "confidence": 0.831, "box": [0.1, 0.2, 0.2, 0.6]}
    ]
    assert signal["data"]["attachments"][0]["width"] == 768
