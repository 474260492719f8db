"""The sound of a camera: whole, in step with the pictures, and never at their expense."""

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import av
import numpy as np
import pytest

from camera_hub.simulator.rtp import sender_report
from camera_hub.streams.reader import StreamReader
from camera_hub.streams.rtsp import sound
from camera_hub.streams.sound.config import open_decoder
from camera_hub.streams.types import (
    ReasonCode,
    SoundInfo,
    SoundPacket,
    SoundState,
    StreamSource,
    StreamState,
)
from core.clock import SystemClock
from core.ids import new_id
from tests.camera_hub.streams.test_reader import OPTIONS, Recorder, assert_timeline
from tests.support.media import RtspServer, wait_until
from tests.support.media_footage import make_units
from tests.support.odd_camera import Extra, OddCamera, Oddities, Piece
from tests.support.sounding import PICTURE_S, aac, aac_lines, changed, packed, pcm, tone

UNITS = make_units(frames=20, gop=10)
RATE = 90000


class Hearing(Recorder):
    """A sink that takes sound too; what it has is of the newest opening."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[SoundPacket] = []
        self.all: list[Any] = []

    def opened(self, info: Any) -> None:
        super().opened(info)
        self.heard = []

    def packet(self, packet: Any, arrived_monotonic: float, arrived_at: datetime) -> None:
        super().packet(packet, arrived_monotonic, arrived_at)
        self.all.append(packet)

    def sound(self, packet: SoundPacket) -> None:
        self.heard.append(packet)

    @property
    def info(self) -> SoundInfo:
        assert self.infos[-1].sound is not None
        return self.infos[-1].sound


class Listening:
    """A reader that asks for sound, with its sink."""

    def __init__(self, source: StreamSource) -> None:
        self.sink = Hearing()
        self.reader = StreamReader(
            source, clock=SystemClock(), options=replace(OPTIONS, open_timeout_s=1.0)
        )
        self.reader.add_sink(self.sink)
        self.reader.start()

    def until(self, state: SoundState) -> None:
        wait_until(lambda: self.reader.status().sound is state, what=f"{state}")

    def until_heard(self, count: int) -> list[SoundPacket]:
        wait_until(lambda: len(self.sink.heard) >= count, what=f"{self.reader.status()}")
        return list(self.sink.heard)

    def until_seen(self, count: int) -> None:
        """Wait for so many more pictures, all of them in order and on one connection."""
        wanted = len(self.sink.all) + count
        wait_until(lambda: len(self.sink.all) >= wanted)
        status = self.reader.status()
        assert status.state is StreamState.ONLINE
        assert status.reconnects == 0
        assert_timeline(self.sink.all)


Listen = Callable[..., Listening]


@pytest.fixture
def listen() -> Iterator[Listen]:
    made: list[Any] = []

    def begin(*extras: Extra, pace_s: float = 0.008, **odd: Any) -> Listening:
        camera = OddCamera(UNITS, Oddities(extras=extras, pace_s=pace_s, offers_sound=False, **odd))
        listening = Listening(StreamSource(new_id(), "sub", camera.url, sound=True))
        made.extend((listening.reader.stop, camera.close))
        return listening

    yield begin
    for end in made:
        end()


def loudness(info: SoundInfo, packets: list[SoundPacket]) -> float:
    """Return the root of the mean square of what a decoder makes of `packets`."""
    decoder = open_decoder(info)
    found = [f.to_ndarray() for p in packets for f in decoder.decode(av.Packet(p.data))]
    assert decoder.sample_rate == info.rate
    samples = np.concatenate(found, axis=1).astype(np.float64)
    assert samples.shape[0] == info.channels
    return float(np.sqrt(np.mean(samples**2)))


def assert_in_step(info: SoundInfo, heard: list[SoundPacket]) -> None:
    """Check that frames follow one another: never falling, each about as long as it lasts."""
    for before, after in itertools.pairwise(heard):
        step = (after.at - before.at) / RATE
        assert abs(step - before.samples / info.rate) < 0.001


@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (8000, 1), (44100, 2)])
def test_aac_is_handed_on_as_it_came(listen: Listen, rate: int, channels: int) -> None:
    listening = listen(aac(rate, channels))
    heard = listening.until_heard(30)
    info = listening.sink.info
    config, frames = tone(rate, channels)
    assert (info.config, info.rate, info.channels) == (config, rate, channels)
    first = frames.index(heard[0].data)
    expected = [frames[(first + n) % len(frames)] for n in range(30)]
    assert [packet.data for packet in heard[:30]] == expected
    assert {packet.samples for packet in heard} == {1024}
    assert_in_step(info, heard)
    assert listening.reader.status().sound is SoundState.OK
    assert listening.reader.status().to_json()["sound"] == "ok"
    listening.until_seen(5)


@pytest.mark.parametrize(
    ("name", "rate", "channels"),
    [("PCMU", 8000, 1), ("PCMA", 8000, 1), ("PCMA", 16000, 1), ("PCMU", 8000, 2)],
)
def test_g711_is_encoded_as_aac(listen: Listen, name: str, rate: int, channels: int) -> None:
    listening = listen(pcm(name, rate, channels))
    heard = listening.until_heard(12)
    info = listening.sink.info
    assert (info.rate, info.channels) == (rate, channels)
    assert_in_step(info, heard)
    assert 0.2 < loudness(info, heard[1:]) < 0.35


def test_who_does_not_ask_hears_nothing_and_sinks_need_not_hear(listen: Listen) -> None:
    listening = listen(aac())
    listening.until_heard(3)
    deaf = Recorder()
    listening.reader.add_sink(deaf)
    wait_until(lambda: len(deaf.packets) > 5)
    listening.reader.update(replace(listening.reader.source, sound=False))
    wait_until(lambda: listening.reader.status().reconnects == 1)
    wait_until(lambda: listening.sink.infos[-1].sound is None)
    wait_until(lambda: len(listening.sink.packets) > 20)
    assert listening.sink.infos[-1].sound is None
    assert listening.reader.status().sound is SoundState.OFF
    assert not listening.sink.heard


_NO = "RTSP/1.0 {} No\r\nCSeq: {{cseq}}\r\n\r\n"


@pytest.mark.parametrize(
    ("lines", "answer", "state"),
    [
        ("m=audio 0 RTP/AVP 97\r\na=rtpmap:97 G726-32/8000\r\n", None, SoundState.CODEC),
        ("m=audio 0 RTP/AVP 97\r\na=rtpmap:97 opus/48000/2\r\n", None, SoundState.CODEC),
        ("m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MP4A-LATM/16000\r\n", None, SoundState.CODEC),
        ("m=audio 0 RTP/AVP 97\r\na=rtpmap:97 PCMA/44100\r\n", None, SoundState.CODEC),
        (aac_lines(config="zz"), None, SoundState.CODEC),
        (aac_lines(config="ffffffffffff"), None, SoundState.CODEC),
        (aac_lines(config="2b11880800"), None, SoundState.CODEC),
        (aac_lines(), _NO.format(461), SoundState.REFUSED),
        (aac_lines(), _NO.format(404), SoundState.REFUSED),
        (aac_lines(), "", SoundState.REFUSED),
        (aac_lines(), "GARBAGE\r\n\r\n", SoundState.REFUSED),
    ],
)
def test_a_camera_whose_sound_is_not_to_be_had_says_why_and_is_seen(
    listen: Listen, lines: str, answer: str | None, state: SoundState
) -> None:
    extra = Extra(lines, "sound", aac().send, answer=answer)
    listening = listen(extra)
    wait_until(lambda: len(listening.sink.all) > 15)
    assert listening.reader.status().sound is state
    assert all(info.sound is None for info in listening.sink.infos)


def test_a_camera_without_a_microphone(listen: Listen) -> None:
    listening = listen()
    wait_until(lambda: len(listening.sink.all) > 15)
    assert listening.reader.status().sound is SoundState.NONE


def _several(number: int, pieces: list[Piece]) -> list[Piece]:
    frames = tone()[1]
    if number % 8:
        return []
    first = number * 5 // 8
    return [Piece(packed([frames[(first + n) % 64] for n in range(5)]), first * 1024)]


def _fragments(_number: int, pieces: list[Piece]) -> list[Piece]:
    found = []
    for piece in pieces:
        data = piece.payload or b""
        head, body = data[:4], data[4:]
        parts = [body[at : at + 50] for at in range(0, len(body), 50)]
        last = len(parts) - 1
        found += [Piece(head + p, piece.ticks, n == last) for n, p in enumerate(parts)]
    return found


@pytest.mark.parametrize("change", [_several, _fragments])
def test_however_frames_are_packed_they_come_out_whole(
    listen: Listen, change: Callable[[int, list[Piece]], list[Piece]]
) -> None:
    listening = listen(changed(aac(), change))
    heard = listening.until_heard(25)
    frames = tone()[1]
    first = frames.index(heard[0].data)
    assert [p.data for p in heard[:25]] == [frames[(first + n) % 64] for n in range(25)]
    assert_in_step(listening.sink.info, heard)


_chance = random.Random(3640)


def _garbage(_number: int, pieces: list[Piece]) -> list[Piece]:
    return [Piece(_chance.randbytes(_chance.randrange(1, 400)), p.ticks) for p in pieces]


def _wrong_sizes(number: int, pieces: list[Piece]) -> list[Piece]:
    return [Piece(b"\x00\x10\xff\xf8" + (p.payload or b"")[4:], p.ticks) for p in pieces]


def _not_aac(number: int, pieces: list[Piece]) -> list[Piece]:
    return [Piece(packed([b"\xff" * 200]), p.ticks) for p in pieces]


def _empty(number: int, pieces: list[Piece]) -> list[Piece]:
    return [Piece(b"", p.ticks) for p in pieces]


@pytest.mark.parametrize("change", [_garbage, _wrong_sizes, _not_aac, _empty])
def test_garbage_is_no_sound_and_costs_no_picture(
    listen: Listen, change: Callable[[int, list[Piece]], list[Piece]]
) -> None:
    listening = listen(changed(aac(), change))
    listening.until(SoundState.GARBLED)
    listening.until_seen(20)
    assert not listening.sink.heard
    assert all(info.sound is None for info in listening.sink.infos)


def test_frames_lost_on_the_way_leave_a_gap_of_their_length(listen: Listen) -> None:
    def lose(number: int, pieces: list[Piece]) -> list[Piece]:
        return [Piece(None, p.ticks) if p.ticks // 1024 % 16 == 0 else p for p in pieces]

    listening = listen(changed(aac(), lose))
    heard = listening.until_heard(40)
    steps = [(b.at - a.at) / RATE for a, b in itertools.pairwise(heard)]
    gaps = [step for step in steps if step > 0.1]
    assert 2 <= len(gaps) <= 3
    assert all(abs(gap - 0.128) < 0.002 for gap in gaps)


def test_sound_that_stops_is_said_and_the_pictures_go_on(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sound, "_SILENT_AFTER_S", 0.5)
    listening = listen(changed(aac(), lambda n, p: p if n < 60 else []), pace_s=0.02)
    listening.until(SoundState.OK)
    listening.until(SoundState.SILENT)
    listening.until_seen(10)
    # The file goes on as it is: sound that comes back needs no other.
    assert listening.sink.infos[-1].sound is not None


def test_a_flood_of_sound_is_left_out(listen: Listen) -> None:
    flood = [Piece(bytes(1200), n * 1200) for n in range(200)]
    listening = listen(changed(pcm("PCMU"), lambda n, p: p if n < 40 else flood))
    listening.until_seen(150)
    assert len(listening.sink.heard) < 1000


@pytest.mark.parametrize("jump", [50_000_000, -50_000_000])
def test_a_jump_of_the_sounds_clock_is_bridged(listen: Listen, jump: int) -> None:
    def leap(number: int, pieces: list[Piece]) -> list[Piece]:
        return [Piece(p.payload, p.ticks + jump * (number // 50)) for p in pieces]

    listening = listen(changed(aac(first=900_000_000), leap), pace_s=0.01)
    listening.until_heard(1)
    listening.until_seen(150)
    heard = list(listening.sink.heard)
    assert all(b.at >= a.at for a, b in itertools.pairwise(heard))
    # In step with the pictures all along, although the clock leapt by almost an hour each time.
    assert abs(heard[-1].at - listening.sink.all[-1].dts) < 1.0 * RATE
    assert len(heard) > 0.7 * 150 * PICTURE_S / 0.064 * 0.7


def test_a_clock_that_stands_still_or_counts_in_other_units(listen: Listen) -> None:
    for unit in (0, 5):

        def count(_number: int, pieces: list[Piece], unit: int = unit) -> list[Piece]:
            return [Piece(p.payload, p.ticks * unit) for p in pieces]

        listening = listen(changed(aac(), count), pace_s=0.01)
        heard = listening.until_heard(40)[15:]
        assert all(b.at > a.at for a, b in itertools.pairwise(heard))
        assert abs(heard[-1].at - listening.sink.all[-1].dts) < 1.0 * RATE


@pytest.mark.parametrize("later_s", [0.0, 0.6, -0.4])
def test_sender_reports_say_what_belongs_together(listen: Listen, later_s: float) -> None:
    began = datetime(2026, 11, 22, tzinfo=UTC)

    def of_video(number: int) -> bytes:
        now = began + timedelta(seconds=number * PICTURE_S)
        ticks = number * 3600 + 4_294_900_000
        return sender_report(ssrc=7, now=now, ticks=ticks, packets=1, octets=1)

    def of_sound(number: int) -> bytes:
        now = began + timedelta(seconds=number * PICTURE_S + later_s)
        return sender_report(
            ssrc=9, now=now, ticks=round(number * PICTURE_S * 16000), packets=1, octets=1
        )

    track = aac()
    track.reports = of_sound
    listening = listen(track, pace_s=0.02, reports=of_video)
    heard = listening.until_heard(45)[35:]
    # Frame n begins n * 64 ms after the first picture was sent, and was heard `later_s` later.
    frames = tone()[1]
    numbers = [frames.index(p.data) for p in heard]
    offsets = {
        round((p.at / RATE - n * 0.064) % (64 * 0.064), 2)
        for p, n in zip(heard, numbers, strict=True)
    }
    assert len(offsets) <= 2
    assert min(abs(o - later_s % (64 * 0.064)) for o in offsets) < 0.02


def test_reports_that_contradict_what_is_seen_are_not_believed(listen: Listen) -> None:
    def of_sound(number: int) -> bytes:
        wrong = datetime(2001, 1, 1, tzinfo=UTC)
        return sender_report(ssrc=9, now=wrong, ticks=number * 640, packets=1, octets=1)

    def of_video(number: int) -> bytes:
        now = datetime(2026, 11, 22, tzinfo=UTC) + timedelta(seconds=number * PICTURE_S)
        return sender_report(
            ssrc=7, now=now, ticks=number * 3600 + 4_294_900_000, packets=1, octets=1
        )

    track = aac()
    track.reports = of_sound
    listening = listen(track, pace_s=0.02, reports=of_video)
    heard = listening.until_heard(40)
    assert abs(heard[-1].at - listening.sink.all[-1].dts) < 1.0 * RATE


@pytest.mark.parametrize(
    ("kind", "rate"), [("sound_aac", 16000), ("sound_pcmu", 8000), ("audio_first", 8000)]
)
def test_the_sound_of_a_real_server_is_heard_in_step(
    rtsp_server: RtspServer, kind: str, rate: int
) -> None:
    rtsp_server.mount("/cam", kind=kind)
    listening = Listening(
        StreamSource(
            new_id(),
            "sub",
            rtsp_server.url("/cam"),
            rtsp_server.username,
            rtsp_server.password,
            sound=True,
        )
    )
    heard = listening.until_heard(15)
    info = listening.sink.info
    behind = abs(heard[-1].at - listening.sink.all[-1].dts) / RATE
    listening.reader.stop()
    assert info.rate == rate
    # The server's tone is 440 Hz at eight tenths of what there is.
    assert 0.4 < loudness(info, heard[2:]) < 0.65
    assert behind < 1.0


def test_sound_comes_over_datagrams_too(rtsp_server: RtspServer) -> None:
    rtsp_server.mount("/cam", kind="sound_pcmu")
    source = StreamSource(
        new_id(),
        "sub",
        rtsp_server.url("/cam"),
        rtsp_server.username,
        rtsp_server.password,
        transport="udp",
        sound=True,
    )
    listening = Listening(source)
    listening.until_heard(5)
    status = listening.reader.status()
    listening.reader.stop()
    assert (status.reason_code, status.sound) == (ReasonCode.OK, SoundState.OK)
