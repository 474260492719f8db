"""A viewer's queue: bounded, never blocking whoever fills it."""

import asyncio
from collections import deque

from camera_hub.live.muxer import Fragment, Init, LiveItem, StateChange

QUEUE_BYTES = 4 * 1024 * 1024
QUEUE_ITEMS = 250


class ViewerQueue:
    """Items for one viewer, within one event loop.

    A viewer that is too slow loses the fragments that wait and goes on with the next keyframe;
    the newest init and state are kept. `skipped` counts fragments lost that way.
    """

    def __init__(self, *, max_bytes: int = QUEUE_BYTES, max_items: int = QUEUE_ITEMS) -> None:
        self.skipped = 0
        self._max_bytes = max_bytes
        self._max_items = max_items
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
            if len(self._items) >= self._max_items or self._bytes > self._max_bytes:
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

    def _make_room(self) -> None:
        kept: deque[LiveItem] = deque()
        for kind in (StateChange, Init):
            newest = [item for item in self._items if isinstance(item, kind)]
            kept.extend(newest[-1:])
        self.skipped += sum(isinstance(item, Fragment) for item in self._items)
        self._items = kept
        self._bytes = 0
        self._need_keyframe = True
