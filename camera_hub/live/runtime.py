"""Everything a media worker does with cameras: reading, pictures for the analytics, live view."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from uuid import UUID

from camera_hub.live.channel import Listener, LiveChannel, Snapshot
from camera_hub.live.muxer import LiveItem
from camera_hub.live.rendering import Rendering
from camera_hub.live.stream import Recorder, Stream
from camera_hub.streams.frames import FrameDecoder
from camera_hub.streams.painting import PainterFactory, Rendition, masks_digest
from camera_hub.streams.reach import ANYWHERE, Reach
from camera_hub.streams.reader import ReaderOptions
from camera_hub.streams.types import (
    AssignedCamera,
    Frame,
    Sink,
    StreamRole,
    StreamStatus,
)
from core.clock import Clock
from core.errors import ForbiddenError, UnavailableError
from core.settings import MediaSettings

LINGER_S = 10.0
"""How long a main stream is read on after its last viewer left: people come back."""
_TICK_S = 0.25

OnChange = Callable[[UUID, StreamStatus], None]
OnMetadata = Callable[[UUID, bytes, float, datetime], None]
"""Camera, XML document, when it arrived: monotonic seconds, and aware in UTC."""


class _Camera:
    """An assigned camera: one stream that is always read, the other only while watched."""

    def __init__(self, assigned: AssignedCamera) -> None:
        self.assigned = assigned
        self.primary: StreamRole = "sub" if "sub" in assigned.streams else "main"
        self.streams: dict[StreamRole, Stream] = {}
        self.decoder: FrameDecoder | None = None

    def role(self, wanted: StreamRole) -> StreamRole:
        return wanted if wanted in self.assigned.streams else self.primary

    def stop(self) -> None:
        for stream in self.streams.values():
            stream.stop()
        self.streams.clear()
        if self.decoder is not None:
            self.decoder.stop(timeout=0.0)
            self.decoder = None


class MediaRuntime:
    """The cameras of one worker. Every method may be called from any thread.

    The sub stream of a camera (the main one where there is no other) is read always; the main
    stream is read while somebody watches it and `LINGER_S` longer. `on_change` is told each new
    state of the stream that is always read; it must neither block nor call the runtime.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        settings: MediaSettings,
        on_change: OnChange | None = None,
        painters: PainterFactory | None = None,
        reach: Reach = ANYWHERE,
        on_metadata: OnMetadata | None = None,
    ) -> None:
        """Begin without cameras.

        Args:
            clock: dates what arrives.
            settings: times of the readers.
            on_change: see the class.
            painters: makes the pictures of renditions; without it there are only raw streams.
            reach: where this site's cameras may be.
            on_metadata: takes what cameras say they see, on the poller's thread; must not block.
        """
        self._clock = clock
        self._painters = painters
        self._options = ReaderOptions(
            open_timeout_s=settings.open_timeout_s,
            read_timeout_s=settings.read_timeout_s,
            backoff_max_s=settings.backoff_max_s,
            reach=reach,
        )
        self._on_change = on_change
        self._on_metadata = on_metadata
        self._lock = threading.RLock()
        self._cameras: dict[UUID, _Camera] = {}
        self._stopped = threading.Event()
        self._watchdog = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._watchdog.start()

    def apply(self, assigned: Iterable[AssignedCamera]) -> None:
        """Read these cameras and no others; what did not change goes on undisturbed."""
        wanted = {camera.id: camera for camera in assigned if camera.streams}
        with self._lock:
            for camera_id in self._cameras.keys() - wanted.keys():
                self._cameras.pop(camera_id).stop()
            for camera in wanted.values():
                self._apply_one(camera)

    def statuses(self) -> dict[UUID, StreamStatus]:
        """Return the status of each camera's always-read stream."""
        with self._lock:
            readers = {
                camera_id: camera.streams[camera.primary].reader
                for camera_id, camera in self._cameras.items()
            }
        return {camera_id: reader.status() for camera_id, reader in readers.items()}

    def frames(self, camera_id: UUID) -> FrameDecoder | None:
        """Decode the camera's always-read stream and return where its pictures come out.

        The same one at every call, through reconnects and changed addresses, until
        `release_frames`, until the camera is taken away or has other streams than before (then
        `get` gives None at once). None for an unknown camera.
        """
        with self._lock:
            camera = self._cameras.get(camera_id)
            if camera is None:
                return None
            if camera.decoder is None:
                camera.decoder = FrameDecoder()
                camera.streams[camera.primary].reader.add_sink(camera.decoder)
            return camera.decoder

    def release_frames(self, camera_id: UUID) -> None:
        """Decode the camera no longer."""
        with self._lock:
            camera = self._cameras.get(camera_id)
            if camera is None or camera.decoder is None:
                return
            decoder, camera.decoder = camera.decoder, None
            reader = camera.streams[camera.primary].reader
        reader.remove_sink(decoder)
        decoder.stop(timeout=0.0)

    def listen(
        self,
        camera_id: UUID,
        role: StreamRole,
        listener: Listener,
        rendition: Rendition = "raw",
        *,
        sound: bool = False,
    ) -> list[LiveItem] | None:
        """Begin to watch; see `LiveChannel.listen`. None for an unknown camera.

        Only the camera's own pictures come with `sound`: other renditions have none.

        Raises:
            ForbiddenError: code `raw-refused`: the camera has masks.
            UnavailableError: code `no-renditions`: this worker makes none.
        """
        with self._lock:
            camera = self._cameras.get(camera_id)
            if camera is None:
                return None
            channel = self._channel(camera, role, rendition)
            self._acquire(camera_id, role)
            return channel.listen(listener, sound=sound and rendition == "raw")

    def leave(
        self,
        camera_id: UUID,
        role: StreamRole,
        listener: Listener,
        rendition: Rendition = "raw",
    ) -> None:
        """Watch no longer."""
        with self._lock:
            camera = self._cameras.get(camera_id)
            stream = camera.streams.get(camera.role(role)) if camera else None
            if stream is None:
                return
            rendering = stream.renderings.get(rendition)
            if rendition == "raw":
                stream.channel.leave(listener)
            elif rendering is not None:
                rendering.channel.leave(listener)
            self._release(stream)

    def snapshot(
        self, camera_id: UUID, role: StreamRole, timeout: float, rendition: Rendition = "raw"
    ) -> Snapshot | None:
        """Return the newest picture, waiting up to `timeout` seconds; blocks.

        None when none came in that time, or the camera is unknown. Raises as `listen` does.
        """
        with self._lock:
            camera = self._cameras.get(camera_id)
            if camera is None:
                return None
            channel = self._channel(camera, role, rendition)
            stream = self._acquire(camera_id, role)
            assert stream is not None
            rendering = stream.renderings.get(rendition)
            if rendering is not None:
                rendering.holders += 1
        try:
            return channel.snapshot(timeout)
        finally:
            with self._lock:
                if rendering is not None:
                    rendering.holders -= 1
                self._release(stream)

    def picture(self, camera_id: UUID) -> Frame | None:
        """Decode the newest picture of the always-read stream, as the camera sent it.

        None if none is kept, or the camera is unknown. Whoever shows it fills the masks.
        """
        with self._lock:
            camera = self._cameras.get(camera_id)
            stream = camera.streams.get(camera.primary) if camera is not None else None
        return stream.channel.picture(0.0) if stream is not None else None

    def keyframe(self, camera_id: UUID, since_s: float) -> Frame | None:
        """Decode the newest keyframe of the always-read stream, as the camera sent it.

        None if none arrived at `since_s` (monotonic) or later, or the camera is unknown.
        """
        with self._lock:
            camera = self._cameras.get(camera_id)
            stream = camera.streams.get(camera.primary) if camera is not None else None
        return stream.channel.keyframe(since_s) if stream is not None else None

    def record(self, camera_id: UUID, role: StreamRole, sink: Sink) -> bool:
        """Give a recorder what may be recorded, until `stop_recording`; False if unknown.

        That is the camera's own packets, or the masked rendition where its masks are to be applied
        before recording. When that changes, the sink is closed and opened with the other.
        The camera taken away or given other streams ends it with `closed`.

        Raises:
            UnavailableError: code `no-renditions`: this worker makes none.
        """
        with self._lock:
            stream = self._acquire(camera_id, role)
            if stream is None:
                return False
            stream.recorders[id(sink)] = Recorder(sink)
            self._feed_recorders(self._cameras[camera_id], stream)
            return True

    def stop_recording(self, camera_id: UUID, role: StreamRole, sink: Sink) -> None:
        """Give the recorder nothing any more; it is closed before this returns."""
        with self._lock:
            camera = self._cameras.get(camera_id)
            stream = camera.streams.get(camera.role(role)) if camera else None
            recorder = stream.recorders.pop(id(sink), None) if stream else None
            if stream is not None and recorder is not None:
                stream.unfeed(recorder)
                self._release(stream)

    def knows(self, camera_id: UUID) -> bool:
        """Say whether the camera is assigned to this worker."""
        return camera_id in self._cameras

    def has_masks(self, camera_id: UUID, digest: str) -> bool:
        """Say whether the camera is shown with the masks of this digest."""
        camera = self._cameras.get(camera_id)
        return camera is not None and masks_digest(camera.assigned.masks) == digest

    def stop(self) -> None:
        """Stop everything; threads inside the media library end within seconds by themselves."""
        self._stopped.set()
        self._watchdog.join(2.0)
        with self._lock:
            for camera in self._cameras.values():
                camera.stop()
            self._cameras.clear()

    def _apply_one(self, assigned: AssignedCamera) -> None:
        camera = self._cameras.get(assigned.id)
        if camera is not None and camera.assigned.streams.keys() != assigned.streams.keys():
            camera.stop()
            camera = None
        if camera is None:
            camera = self._cameras[assigned.id] = _Camera(assigned)
        camera.assigned = assigned
        self._ensure(camera, camera.primary)
        for role, stream in camera.streams.items():
            stream.reader.update(assigned.streams[role])
            if assigned.masks:
                stream.channel.dismiss()
            for rendering in stream.renderings.values():
                rendering.set_masks(assigned.masks)
            self._feed_recorders(camera, stream)

    def _channel(self, camera: _Camera, role: StreamRole, rendition: Rendition) -> LiveChannel:
        """Return what may be shown of a stream, made if need be; raises as `listen` does."""
        if rendition != "raw":
            self._check_renditions()
            stream = self._ensure(camera, camera.role(role))
            return self._rendering(camera, stream, rendition).channel
        if camera.assigned.masks:
            raise ForbiddenError(
                "This camera has privacy masks, so its own pictures are not given out.",
                remedy="Ask for its masked pictures.",
                code="raw-refused",
            )
        return self._ensure(camera, camera.role(role)).channel

    def _check_renditions(self) -> PainterFactory:
        if self._painters is None:
            raise UnavailableError(
                "This worker makes no masked or redacted pictures.", code="no-renditions"
            )
        return self._painters

    def _rendering(self, camera: _Camera, stream: Stream, rendition: Rendition) -> Rendering:
        rendering = stream.renderings.get(rendition)
        if rendering is not None:
            return rendering
        painters, camera_id = self._check_renditions(), camera.assigned.id
        rendering = stream.renderings[rendition] = Rendering(
            stream.channel,
            lambda masks: painters(camera_id, rendition, masks),
            camera.assigned.masks,
            self._clock,
        )
        rendering.announce(stream.reader.status())
        return rendering

    def _feed_recorders(self, camera: _Camera, stream: Stream) -> None:
        burnt = camera.assigned.masks_burnt and bool(camera.assigned.masks)
        wanted: Rendition = "masked" if burnt else "raw"
        for recorder in stream.recorders.values():
            if recorder.given == wanted:
                continue
            stream.unfeed(recorder)
            if wanted == "raw":
                stream.channel.attach(recorder.sink)
            else:
                rendering = self._rendering(camera, stream, wanted)
                rendering.holders += 1
                rendering.channel.attach(recorder.sink)
            recorder.given = wanted

    def _ensure(self, camera: _Camera, role: StreamRole) -> Stream:
        stream = camera.streams.get(role)
        if stream is None:
            camera_id = camera.assigned.id
            on_change = None
            if role == camera.primary and self._on_change is not None:
                tell = self._on_change

                def on_change(status: StreamStatus) -> None:
                    tell(camera_id, status)

            tell_seen = self._on_metadata
            stream = camera.streams[role] = Stream(
                camera.assigned.streams[role],
                self._clock,
                self._options,
                on_change,
                partial(tell_seen, camera_id) if tell_seen is not None else None,
            )
        return stream

    def _acquire(self, camera_id: UUID, role: StreamRole) -> Stream | None:
        camera = self._cameras.get(camera_id)
        if camera is None:
            return None
        stream = self._ensure(camera, camera.role(role))
        stream.users += 1
        stream.idle_since = None
        return stream

    def _release(self, stream: Stream) -> None:
        stream.users -= 1
        if stream.users == 0:
            stream.idle_since = self._clock.monotonic()

    def _watch(self) -> None:
        while not self._stopped.wait(_TICK_S):
            now = self._clock.monotonic()
            with self._lock:
                streams = [s for c in self._cameras.values() for s in c.streams.values()]
                for camera in self._cameras.values():
                    self._stop_idle(camera, now)
                for stream in streams:
                    stream.stop_unwatched(now)
            for stream in streams:
                stream.reader.check()

    def _stop_idle(self, camera: _Camera, now: float) -> None:
        for role, stream in list(camera.streams.items()):
            idle = stream.idle_since
            if role != camera.primary and idle is not None and now - idle > LINGER_S:
                del camera.streams[role]
                stream.stop()
