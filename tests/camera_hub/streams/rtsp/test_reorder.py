"""Datagrams brought into their order, whatever the network did to them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from camera_hub.simulator import rtp
from camera_hub.streams.rtsp.reorder import MAX_WAIT_S, MAX_WAITING, Reorder
from tests.support.examples import examples

OWN, OTHER = 5, 6


def packet(number: int, ssrc: int = OWN, payload: bytes = b"x") -> bytes:
    return rtp.packet(payload, marker=False, sequence=number, ticks=0, ssrc=ssrc)


class Line:
    """What came out, by number."""

    def __init__(self, ssrc: int | None = None) -> None:
        self.numbers: list[int] = []
        self.sources: list[int] = []
        self.order = Reorder(rtp.PAYLOAD_TYPE, ssrc, self._take)

    def _take(self, data: bytes) -> None:
        self.numbers.append(int.from_bytes(data[2:4], "big"))
        self.sources.append(int.from_bytes(data[8:12], "big"))

    def put(self, *numbers: int, now: float = 0.0, ssrc: int = OWN) -> None:
        for number in numbers:
            self.order.put(packet(number, ssrc), now)


@settings(max_examples=examples(60))
@given(
    st.integers(0, 0xFFFF),
    st.lists(st.tuples(st.integers(0, 8), st.booleans(), st.booleans()), min_size=1, max_size=80),
)
def test_what_was_overtaken_or_came_twice_comes_out_once_and_in_order(
    first: int, fates: list[tuple[int, bool, bool]]
) -> None:
    line = Line()
    line.put(first)
    sent = []
    lost = set()
    for index, (late, twice, vanishes) in enumerate(fates, 1):
        if vanishes:
            lost.add(index)
            continue
        sent += [(index + late, index)] + [(index + late + 1, index)] * twice
    for _, index in sorted(sent, key=lambda pair: pair[0]):
        line.put(first + index)
    line.order.expire(MAX_WAIT_S * 2)
    for _ in range(len(fates)):
        line.order.expire(MAX_WAIT_S * 2)
    expected = [index for index in range(len(fates) + 1) if index not in lost]
    assert line.numbers == [(first + index) & 0xFFFF for index in expected]


@settings(max_examples=examples(60))
@given(st.lists(st.binary(max_size=40), max_size=60))
def test_rubbish_is_left_out_and_holds_little(rubbish: list[bytes]) -> None:
    line = Line()
    line.put(10)
    for data in rubbish:
        line.order.put(data, 0.0)
    line.put(11)
    assert line.numbers[0] == 10
    assert 11 in line.numbers
    assert len(line.order._held) <= len(rubbish)


def test_a_hole_is_given_up_after_a_moment_and_late_ones_change_nothing() -> None:
    line = Line()
    line.put(1)
    line.put(3, 4, now=1.0)
    line.order.expire(1.0 + MAX_WAIT_S / 2)
    assert line.numbers == [1]
    line.order.expire(1.0 + MAX_WAIT_S * 2)
    line.put(2, now=1.3)
    line.put(5, now=1.3)
    assert line.numbers == [1, 3, 4, 5]
    assert line.order.left_out == 1


def test_so_many_wait_and_no_more() -> None:
    line = Line()
    line.put(1)
    line.put(*range(3, 3 + 2 * MAX_WAITING, 2))
    assert len(line.order._held) <= MAX_WAITING
    for number in range(4, 4000, 2):
        line.order.put(packet(number, payload=bytes(60_000)), 0.0)
    assert line.order._held_bytes <= 2 << 20
    assert line.numbers == sorted(line.numbers)


def test_one_wild_number_changes_nothing_two_in_a_row_are_a_new_beginning() -> None:
    line = Line()
    line.put(1, 2, 30_000, 3, 4)
    assert line.numbers == [1, 2, 3, 4]
    line.put(50_000, 50_001, 50_002)
    assert line.numbers == [1, 2, 3, 4, 50_001, 50_002]


def test_another_source_is_listened_to_only_when_the_first_is_quiet() -> None:
    line = Line()
    line.put(1, now=1.0)
    line.put(700, 701, 702, ssrc=OTHER, now=1.1)
    line.put(2, now=1.2)
    assert set(line.sources) == {OWN}
    line.put(703, ssrc=OTHER, now=1.8)
    assert line.sources[-1] == OTHER


def test_the_source_that_the_camera_named_is_listened_to_at_once() -> None:
    line = Line(OWN)
    # Many cameras name one and use another: what comes is taken until the named one does.
    line.put(700, 701, ssrc=OTHER, now=1.0)
    line.put(1, now=1.1)
    line.put(702, ssrc=OTHER, now=1.2)
    assert line.sources == [OTHER, OTHER, OWN]
