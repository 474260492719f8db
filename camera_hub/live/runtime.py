"""Everything a media worker does with cameras: reading, pictures for the analytics, live view."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from uuid import UUID

from camera_hub.live.channel import Listener, LiveChannel, Snapshot
from camera_hub.live.muxer import LiveItem
from camera_hub.streams.frames import FrameDecoder
from camera_hub.streams.reader import ReaderOptions, StreamReader
from camera_hub.streams.types import AssignedCamera, StreamRole, StreamSource, StreamStatus
from core.clock import Clock
from core.settings import MediaSettings

LINGER_S = 10.0
"""How long a main stream is read on after its last viewer left: people come back."""
_TICK_S = 0.25

OnChange = Callable[[UUID, StreamStatus], None]


class _Stream:
    """A reader with its channel."""

    def __init__(
        self,
        source: StreamSource,
        clock: Clock,
        options: ReaderOptions,
        on_change: Callable[[StreamStatus], None] | None,
    ) -> None:
        self.channel = LiveChannel()
        self.users = 0
        self.idle_since: float | None = None
        self._on_change = on_change
        self.reader = StreamReader(source, clock=clock, options=options, on_change=self._changed)
        self.reader.add_sink(self.channel)
        self.reader.start()

    def _changed(self, status: StreamStatus) -> None:
        self.channel.announce(status)
        if self._on_change is not None:
            self._on_change(status)

    def stop(self) -> None:
        self.reader.stop()
        self.channel.end()


class _Camera:
    """An assigned camera: one stream that is always read, the other only while watched."""

    def __init__(self, assigned: AssignedCamera) -> None:
        self.assigned = assigned
        self.primary: StreamRole = "sub" if "sub" in assigned.streams else "main"
        self.streams: dict[StreamRole, _Stream] = {}
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
        self, *, clock: Clock, settings: MediaSettings, on_change: OnChange | None = None
    ) -> None:
        self._clock = clock
        self._options = ReaderOptions(
            open_timeout_s=settings.open_timeout_s,
            read_timeout_s=settings.read_timeout_s,
            backoff_max_s=settings.backoff_max_s,
        )
        self._on_change = on_change
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
        self, camera_id: UUID, role: StreamRole, listener: Listener
    ) -> list[LiveItem] | None:
        """Begin to watch; see `LiveChannel.listen`. None for an unknown camera."""
        with self._lock:
            stream = self._acquire(camera_id, role)
            return None if stream is None else stream.channel.listen(listener)

    def leave(self, camera_id: UUID, role: StreamRole, listener: Listener) -> None:
        """Watch no longer."""
        with self._lock:
            camera = self._cameras.get(camera_id)
            stream = camera.streams.get(camera.role(role)) if camera else None
            if stream is not None:
                stream.channel.leave(listener)
                self._release(stream)

    def snapshot(self, camera_id: UUID, role: StreamRole, timeout: float) -> Snapshot | None:
        """Return the newest picture, waiting up to `timeout` seconds; blocks.

        None when none came in that time, or the camera is unknown.
        """
        with self._lock:
            stream = self._acquire(camera_id, role)
        if stream is None:
            return None
        try:
            return stream.channel.snapshot(timeout)
        finally:
            with self._lock:
                self._release(stream)

    def knows(self, camera_id: UUID) -> bool:
        """Say whether the camera is assigned to this worker."""
        return camera_id in self._cameras

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

    def _ensure(self, camera: _Camera, role: StreamRole) -> _Stream:
        stream = camera.streams.get(role)
        if stream is None:
            camera_id = camera.assigned.id
            on_change = None
            if role == camera.primary and self._on_change is not None:
                tell = self._on_change

                def on_change(status: StreamStatus) -> None:
                    tell(camera_id, status)

            stream = camera.streams[role] = _Stream(
                camera.assigned.streams[role], self._clock, self._options, on_change
            )
        return stream

    def _acquire(self, camera_id: UUID, role: StreamRole) -> _Stream | None:
        camera = self._cameras.get(camera_id)
        if camera is None:
            return None
        stream = self._ensure(camera, camera.role(role))
        stream.users += 1
        stream.idle_since = None
        return stream

    def _release(self, stream: _Stream) -> None:
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
                stream.reader.check()

    def _stop_idle(self, camera: _Camera, now: float) -> None:
        for role, stream in list(camera.streams.items()):
            idle = stream.idle_since
            if role != camera.primary and idle is not None and now - idle > LINGER_S:
                del camera.streams[role]
                stream.stop()
