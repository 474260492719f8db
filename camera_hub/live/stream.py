"""One stream of a camera in a worker: its reader, its live channel, its renditions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from camera_hub.live.channel import LiveChannel
from camera_hub.streams.reader import ReaderOptions, StreamReader

if TYPE_CHECKING:
    from camera_hub.live.rendering import Rendering
    from camera_hub.streams.painting import Rendition
    from camera_hub.streams.receiving import OnMetadata
    from camera_hub.streams.types import Sink, StreamSource, StreamStatus
    from core.clock import Clock

RENDITION_LINGER_S = 3.0
"""How long a rendition is made on after its last viewer left."""


class Recorder:
    """A sink that records, and which rendition it is given just now."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.given: Rendition | None = None


class Stream:
    """A reader with its channel."""

    def __init__(
        self,
        source: StreamSource,
        clock: Clock,
        options: ReaderOptions,
        on_change: Callable[[StreamStatus], None] | None,
        on_metadata: OnMetadata | None = None,
    ) -> None:
        self.channel = LiveChannel()
        self.renderings: dict[Rendition, Rendering] = {}
        self.recorders: dict[int, Recorder] = {}
        self.users = 0
        self.idle_since: float | None = None
        self._on_change = on_change
        self.reader = StreamReader(
            source,
            clock=clock,
            options=options,
            on_change=self._changed,
            on_metadata=on_metadata,
        )
        self.reader.add_sink(self.channel)
        self.reader.start()

    def _changed(self, status: StreamStatus) -> None:
        self.channel.announce(status)
        for rendering in list(self.renderings.values()):
            rendering.announce(status)
        if self._on_change is not None:
            self._on_change(status)

    def unfeed(self, recorder: Recorder) -> None:
        """Close a recorder's sink and give it nothing more."""
        if recorder.given == "raw":
            self.channel.detach(recorder.sink)
        elif recorder.given is not None:
            rendering = self.renderings[recorder.given]
            rendering.channel.detach(recorder.sink)
            rendering.holders -= 1
        recorder.given = None

    def stop_unwatched(self, now: float) -> None:
        """Stop the renditions that nobody has looked at for a while."""
        for rendition, rendering in list(self.renderings.items()):
            if rendering.channel.watched or rendering.holders:
                rendering.used_s = now
            elif now - rendering.used_s > RENDITION_LINGER_S:
                del self.renderings[rendition]
                rendering.stop()

    def stop(self) -> None:
        """End reader, renditions, listeners and recorders."""
        self.reader.stop()
        for recorder in self.recorders.values():
            self.unfeed(recorder)
        for rendering in self.renderings.values():
            rendering.stop()
        self.renderings.clear()
        self.channel.end()
