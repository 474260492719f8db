"""Those who are given the same of a stream, with sound or without, and what they have missed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import av.error

from camera_hub.live.muxer import Fragment, LiveItem, Muxer

if TYPE_CHECKING:
    from camera_hub.streams.types import Packet, SoundPacket, StreamInfo

Listener = Callable[[LiveItem | None], None]
"""Takes items on the reader's thread, None when the stream is gone for good; must not block."""

Kept = tuple["Packet", float, datetime]
"""A packet and when it arrived: monotonic, and aware in UTC."""


class Group:
    """The packets since the last keyframe, and the sound that came between them.

    Bounded: beyond `most_bytes` or `most_packets` only the keyframe stays (`whole` is False).
    """

    def __init__(self, most_bytes: int, most_packets: int) -> None:
        self.packets: list[Kept] = []
        self.whole = True
        self._most = most_bytes, most_packets
        self._bytes = 0
        # How many packets came before each.
        self._sounds: list[tuple[int, SoundPacket]] = []

    def keep(self, packet: Packet, arrived: float, at: datetime) -> None:
        """Keep a packet; a keyframe begins anew."""
        if packet.is_keyframe:
            self.clear()
        if self.whole:
            self.packets.append((packet, arrived, at))
            self._bytes += packet.size
            self._check()

    def keep_sound(self, packet: SoundPacket) -> None:
        """Keep sound."""
        if self.whole and self.packets:
            self._sounds.append((len(self.packets), packet))
            self._bytes += len(packet.data)
            self._check()

    def in_order(self) -> Sequence[Kept | SoundPacket]:
        """Return what is kept as it came; nothing if it is not whole."""
        found: list[Kept | SoundPacket] = []
        if not self.whole:
            return found
        sounds = iter([*self._sounds, (len(self.packets) + 1, None)])
        before, sound = next(sounds)
        for number, kept in enumerate(self.packets, 1):
            found.append(kept)
            while before == number and sound is not None:
                found.append(sound)
                before, sound = next(sounds)
        return found

    def clear(self) -> None:
        """Forget everything."""
        self.packets = []
        self._sounds = []
        self._bytes = 0
        self.whole = True

    def _check(self) -> None:
        most_bytes, most_packets = self._most
        if self._bytes > most_bytes or len(self.packets) + len(self._sounds) > most_packets:
            self.packets = self.packets[:1]
            self._sounds = []
            self.whole = False


class Audience:
    """Listeners and their muxer, which is there only while somebody listens."""

    def __init__(self, *, hears: bool) -> None:
        self.listeners: list[Listener] = []
        self._hears = hears
        self._muxer: Muxer | None = None
        self._fragments: list[Fragment] = []

    def join(self, listener: Listener, info: StreamInfo | None, group: Group) -> list[LiveItem]:
        """Add a listener; return what it has missed since the keyframe."""
        if self._muxer is None:
            self._begin(info, group)
        self.listeners.append(listener)
        return self._missed()

    def leave(self, listener: Listener) -> None:
        """Remove a listener; the last one takes the muxer with it."""
        if listener in self.listeners:
            self.listeners.remove(listener)
        if not self.listeners:
            self.forget()

    def end(self) -> None:
        """Tell the listeners that nothing will come any more."""
        listeners, self.listeners = self.listeners, []
        self.forget()
        for listener in listeners:
            listener(None)

    def forget(self) -> None:
        """Begin anew with the next keyframe."""
        self._muxer = None
        self._fragments = []

    def packet(self, kept: Kept, info: StreamInfo | None, group: Group) -> None:
        """Hand on a packet that `group` holds already."""
        if not self.listeners:
            return
        packet, _, at = kept
        if self._muxer is None:
            if packet.is_keyframe and self._begin(info, group):
                for item in self._missed():
                    self.tell(item)
            return
        fragment = self._muxer.fragment(packet, at)
        if packet.is_keyframe:
            self._fragments = []
        self._give(fragment, group, keep=packet.is_keyframe or bool(self._fragments))
        self._give(self._muxer.silence(at), group)

    def sound(self, packet: SoundPacket, at: datetime, group: Group) -> None:
        """Hand on sound."""
        if self.listeners and self._muxer is not None:
            self._give(self._muxer.sound(packet, at), group)

    def tell(self, item: LiveItem) -> None:
        """Give the listeners an item."""
        for listener in self.listeners:
            listener(item)

    def _give(self, fragment: Fragment | None, group: Group, *, keep: bool = True) -> None:
        if fragment is None:
            return
        if group.whole and keep:
            self._fragments.append(fragment)
        else:
            self._fragments = []
        self.tell(fragment)

    def _missed(self) -> list[LiveItem]:
        return [] if self._muxer is None else [self._muxer.init, *self._fragments]

    def _begin(self, info: StreamInfo | None, group: Group) -> bool:
        """Mux what is kept; False if there is nothing that can be."""
        if info is None or not group.packets:
            return False
        try:
            muxer = Muxer(info, bytes(group.packets[0][0]), sound=self._hears)
        except av.error.FFmpegError:
            # A damaged keyframe: the next one will do.
            return False
        self._muxer = muxer
        found: list[Fragment | None] = []
        at = group.packets[0][2]
        for item in group.in_order():
            if isinstance(item, tuple):
                at = item[2]
                found += [muxer.fragment(item[0], at), muxer.silence(at)]
            else:
                found.append(muxer.sound(item, at))
        self._fragments = [fragment for fragment in found if fragment is not None]
        return True
