"""A viewer's queue: bounded, never blocking whoever fills it."""

import asyncio
from collections import deque

from camera_hub.live.muxer import Fragment, Init, LiveItem, StateChange

LATE_ITEMS = 100
LATE_BYTES = 2 * 1024 * 1024
QUEUE_ITEMS = 1000
QUEUE_BYTES = 9 * 1024 * 1024
"""More than any group of pictures that is kept: a new viewer is given all of one at once."""


class ViewerQueue:
    """Items for one viewer, within one event loop.

    A viewer that is too slow loses the fragments that wait; the newest init and state are kept.
    Beyond the late limits it goes on with the next keyframe, where skipping leaves no gap;
    beyond the hard limits what waits is lost at once. `skipped` counts fragments lost.
    """

    def __init__(
        self,
        *,
        max_bytes: int = QUEUE_BYTES,
        max_items: int = QUEUE_ITEMS,
        late_bytes: int = LATE_BYTES,
        late_items: int = LATE_ITEMS,
    ) -> None:
        self.skipped = 0
        self._max_bytes = max_bytes
        self._max_items = max_items
        self._late_bytes = min(late_bytes, max_bytes)
        self._late_items = min(late_items, max_items)
        self._items: deque[LiveItem] = deque()
        self._bytes = 0
        self._need_keyframe = True
        self._closed = False
        self._waiter: asyncio.Future[None] | None = None

    def put(self, item: LiveItem) -> None:
        """Add an item; make room if there is none."""
        if self._closed:
            return
        if isinstance(item, Fragment):
            if self._over(item.keyframe):
                self._make_room()
            if self._need_keyframe and not item.keyframe:
                self.skipped += 1
                return
            self._need_keyframe = False
            self._bytes += len(item.data)
        elif isinstance(item, Init):
            self._need_keyframe = True
        self._items.append(item)
        self._wake()

    def close(self) -> None:
        """Throw away what waits and let `get` return nothing any more."""
        self._closed = True
        self._items.clear()
        self._wake()

    async def get(self) -> list[LiveItem]:
        """Wait for items and return all that are there; an empty list after `close`."""
        while not self._items and not self._closed:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        items = list(self._items)
        self._items.clear()
        self._bytes = 0
        return items

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _over(self, keyframe: bool) -> bool:
        items = self._late_items if keyframe else self._max_items
        size = self._late_bytes if keyframe else self._max_bytes
        return len(self._items) >= items or self._bytes > size

    def _make_room(self) -> None:
        kept: deque[LiveItem] = deque()
        for kind in (StateChange, Init):
            newest = [item for item in self._items if isinstance(item, kind)]
            kept.extend(newest[-1:])
        self.skipped += sum(isinstance(item, Fragment) for item in self._items)
        self._items = kept
        self._bytes = 0
        self._need_keyframe = True
