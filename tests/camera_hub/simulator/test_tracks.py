"""Sound and words of virtual cameras, over real sockets, as the hub's reader and PyAV take them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from camera_hub.simulator.quirks import Quirk
from camera_hub.simulator.site import SimulatedSite, VirtualCamera
from camera_hub.simulator.words import SCRIPT, Walk, told_at
from camera_hub.streams.metadata import MetadataReader, SeenFrame
from camera_hub.streams.reader import StreamReader
from camera_hub.streams.types import StreamSource, StreamState
from core.clock import SystemClock
from core.ids import new_id
from tests.support.media import wait_until

STANDS = (Walk("Human", ((0.0, (0.5, 0.8)), (60.0, (0.5, 0.8))), period_s=60.0),)


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tracks")


@pytest.fixture
async def camera(work_dir: Path, mp4_file: Path) -> AsyncIterator[VirtualCamera]:
    site = SimulatedSite(
        work_dir=work_dir, clock=SystemClock(), footage=mp4_file, cameras=1, tells=True
    )
    async with site:
        yield site.cameras[0]


class Heard:
    """A reader of the sub stream that is asked for metadata."""

    def __init__(self, camera: VirtualCamera) -> None:
        self.documents: list[bytes] = []
        self.frames: list[SeenFrame] = []
        self.understood = MetadataReader()
        source = StreamSource(
            new_id(), "sub", camera.rtsp_url, camera.username, camera.password, metadata=True
        )
        self.reader = StreamReader(source, clock=SystemClock(), on_metadata=self._take)
        self.reader.start()

    def _take(self, document: bytes, _at_s: float, at: datetime) -> None:
        self.documents.append(document)
        self.frames += self.understood.read(document, at) or ()

    async def until(self, condition: Callable[[], Any]) -> None:
        await asyncio.to_thread(wait_until, condition)

    async def has_pictures(self, more: int = 5) -> None:
        """Wait for that many more pictures."""
        before = self.reader.status().packets
        await self.until(lambda: self.reader.status().packets >= before + more)
        assert self.reader.status().state is StreamState.ONLINE


@pytest.fixture
def listen() -> Iterator[Callable[[VirtualCamera], Heard]]:
    made: list[Heard] = []

    def begin(camera: VirtualCamera) -> Heard:
        made.append(Heard(camera))
        return made[-1]

    yield begin
    for one in made:
        one.reader.stop(timeout=5)


def script(camera: VirtualCamera, walks: tuple[Walk, ...]) -> None:
    for tracks in camera.words.values():
        for track in tracks:
            track.script = walks


async def test_words_come_beside_the_pictures(
    camera: VirtualCamera, listen: Callable[[VirtualCamera], Heard]
) -> None:
    script(camera, STANDS)
    heard = listen(camera)
    await heard.has_pictures()
    await heard.until(lambda: len(heard.frames) >= 5)
    assert not heard.understood.refused
    assert not heard.understood.odd
    assert {one.label for seen in heard.frames for one in seen.objects} == {"person"}
    box = heard.frames[-1].objects[0].box
    assert box == pytest.approx((0.45, 0.4, 0.55, 0.8), abs=1e-3)


async def test_who_does_not_ask_for_words_is_given_none(
    camera: VirtualCamera, listen: Callable[[VirtualCamera], Heard]
) -> None:
    heard = listen(camera)
    source = heard.reader.source
    heard.reader.update(
        StreamSource(source.camera_id, "sub", source.url, camera.username, camera.password)
    )
    heard.documents.clear()
    await heard.has_pictures(15)
    assert heard.documents == []


@pytest.mark.parametrize(
    ("quirk", "refused", "odd"),
    [
        (Quirk.METADATA_GZIP, "", ""),
        (Quirk.METADATA_WRONG_NAMESPACE, "", "wrong-namespace"),
        (Quirk.METADATA_OF_PEOPLE, "", ""),
        (Quirk.METADATA_OUTSIDE, "", "outside"),
        (Quirk.LOCAL_TIME_AS_UTC, "", "local-time"),
        (Quirk.METADATA_MALFORMED, "not-xml", ""),
        (Quirk.METADATA_ENTITY_BOMB, "document-type", ""),
    ],
)
async def test_odd_words_are_read_or_refused_and_counted(
    camera: VirtualCamera,
    listen: Callable[[VirtualCamera], Heard],
    quirk: Quirk,
    refused: str,
    odd: str,
) -> None:
    script(camera, STANDS)
    camera.onvif.quirks = {quirk}
    heard = listen(camera)
    await heard.until(lambda: len(heard.documents) >= 2)
    assert set(heard.understood.refused) == ({refused} if refused else set())
    assert set(heard.understood.odd) == ({odd} if odd else set())
    assert bool(heard.frames) is not bool(refused)
    if quirk is Quirk.METADATA_OF_PEOPLE:
        assert b"PlateNumber" in heard.documents[0]
        assert not [word for word in ("B-CH", "Female", "calm") if word in repr(heard.frames)]
    await heard.has_pictures()


@pytest.mark.parametrize(
    ("quirk", "reason"),
    [
        (Quirk.METADATA_GZIP_ONLY, "gzip"),
        (Quirk.METADATA_REFUSED, "refuses its metadata"),
        (Quirk.METADATA_SILENT, ""),
        (Quirk.METADATA_ENDLESS, ""),
        (Quirk.METADATA_HUGE, ""),
    ],
)
async def test_where_no_words_can_be_had_the_pictures_go_on(
    camera: VirtualCamera,
    listen: Callable[[VirtualCamera], Heard],
    quirk: Quirk,
    reason: str,
) -> None:
    camera.onvif.quirks = {quirk}
    heard = listen(camera)
    await heard.has_pictures(12)
    assert heard.documents == []
    assert reason in heard.reader.status().reason


async def test_words_are_there_again_after_the_power_was_cut(
    camera: VirtualCamera, listen: Callable[[VirtualCamera], Heard]
) -> None:
    heard = listen(camera)
    await heard.until(lambda: heard.documents)
    await camera.kill()
    await heard.until(lambda: heard.reader.status().state is not StreamState.ONLINE)
    heard.documents.clear()
    await camera.start()
    await heard.until(lambda: heard.documents)


@pytest.mark.parametrize(("sound", "rate"), [("pcmu", 8000), ("aac", 16000)])
async def test_a_tone_is_heard_beside_the_pictures(
    work_dir: Path, mp4_file: Path, sound: Any, rate: int
) -> None:
    site = SimulatedSite(
        work_dir=work_dir, clock=SystemClock(), footage=mp4_file, cameras=1, sound=sound
    )
    async with site:
        camera = site.cameras[0]
        url = camera.rtsp_url.replace("//", f"//{camera.username}:{camera.password}@")
        heard, pictures = await asyncio.to_thread(_listen, url)
    assert heard[0].sample_rate == rate
    samples = np.concatenate([frame.to_ndarray().ravel().astype(float) for frame in heard])
    samples /= np.abs(samples).max()
    loud = samples[np.abs(np.convolve(np.abs(samples), np.ones(200) / 200, "same")) > 0.2]
    crossings = np.count_nonzero(np.diff(np.signbit(loud)))
    assert crossings / 2 / (len(loud) / rate) == pytest.approx(440, rel=0.1)
    assert pictures


def _listen(url: str) -> tuple[list[av.AudioFrame], int]:
    """Return the sound of a second and a half, and how many pictures came with it."""
    heard: list[av.AudioFrame] = []
    pictures = samples = 0
    with av.open(url, options={"rtsp_transport": "tcp"}, timeout=(10, 10)) as container:
        for packet in container.demux():
            pictures += packet.stream.type == "video"
            if packet.stream.type != "audio":
                continue
            for frame in packet.decode():
                assert isinstance(frame, av.AudioFrame)
                heard.append(frame)
                samples += frame.samples
            if heard and samples > 1.1 * heard[0].sample_rate:
                break
    return heard, pictures


def test_the_script_walks_in_stays_and_leaves() -> None:
    person, vehicle = SCRIPT
    assert person.at(0.0) is None
    assert person.at(15.0) is None
    there = person.at(20.0 + 8.0)
    assert there is not None
    assert there[0] == 1
    assert 0.5 < there[1][0] < 0.65
    assert vehicle.at(1.0) is None
    first = {one.number for second in range(20) for one in told_at(SCRIPT, float(second))}
    second = {one.number for second in range(20, 40) for one in told_at(SCRIPT, float(second))}
    assert first
    assert not first & second
