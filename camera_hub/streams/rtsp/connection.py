"""One playing stream: reading what is there, telling packets apart, keeping the session alive.

Everything here runs on the poller's thread and never blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from camera_hub.streams import diagnosis
from camera_hub.streams.diagnosis import Failure
from camera_hub.streams.rtsp.auth import UnknownDigestError, read_challenges
from camera_hub.streams.rtsp.client import Playing
from camera_hub.streams.rtsp.datagrams import DatagramTrack
from camera_hub.streams.rtsp.depacketizer import depacketizer_for
from camera_hub.streams.rtsp.messages import Message, ProtocolError, read_message, write_request
from camera_hub.streams.rtsp.rtp import RtpTrack, SenderReport
from camera_hub.streams.rtsp.taking import Read, Receiver, Side
from core.metrics import counter

LOST = counter("stream_packets_lost", "RTP packets that cameras sent and that did not arrive")
DROPPED = counter("stream_pictures_dropped", "Pictures left out because a part of them was lost")

_MOST_AT_ONCE = 2 << 20
_GARBAGE_LIMIT = 1 << 20
_OUT_LIMIT = 1 << 16
_UNUSABLE_LIMIT = 200
_LONGEST_SILENCE_S = 30.0
_NO_PICTURE_S = 20.0
"""So long datagrams may come without one whole picture; keyframes are rarely further apart."""
_FAREWELL_S = 1.0


class Connection:
    """A stream that plays, from `Playing` on.

    `lost` counts RTP packets missing by their numbers, `dropped` pictures left out for it.
    """

    def __init__(
        self,
        playing: Playing,
        receiver: Receiver,
        *,
        silence_s: float,
        sides: Sequence[Side] = (),
    ) -> None:
        """Take over a stream.

        Args:
            playing: the stream; its socket belongs to this from now on.
            receiver: takes what comes.
            silence_s: without packets of the video for so long the connection is given up.
            sides: take what comes on the channels of `playing.beside`.
        """
        self.playing = playing
        self.sock = playing.sock
        self.alive = True
        self._leaving_until: float | None = None
        self._receiver = receiver
        track = playing.track
        assert track.codec is not None
        self._depacketizer = depacketizer_for(track.codec, track.parameter_sets)
        self._video = RtpTrack(track.payload_type)
        # With datagrams nothing comes within the connection.
        within = not playing.ports
        self._channel = playing.channel if within else -1
        self._rtcp_channel = playing.rtcp_channel if within else -1
        self._sides = tuple(sides)
        self._side_of = {side.channel: side for side in sides}
        self._reports_of = {side.rtcp_channel: side for side in sides}
        self._datagrams = self._datagrams_of(playing)
        self._rest = playing.early
        self._out = b""
        self._dropped_told = self._garbage = 0
        self._arrived = self._last_video = self._keep_alive_at = 0.0
        self._last_units = 0.0
        self._video_seen = False
        self._silence_s = silence_s
        self._longest_gap = 0.0
        self._asked = False
        self._asked_again = False

    def _datagrams_of(self, playing: Playing) -> list[DatagramTrack]:
        found = []
        for ports in playing.ports:
            side = self._side_of.get(ports.channel)
            if ports.channel == playing.channel:
                take, bye = self._packet_alone, self._farewell
                found.append(DatagramTrack(ports, self._video, take, bye))
            elif side is not None:
                found.append(DatagramTrack(ports, side.track, partial(self._beside_alone, side)))
            else:
                # It was set up, and nobody here can read it.
                ports.close()
        return found

    @property
    def readers(self) -> dict[int, Read]:
        """What reads each of its sockets, by the socket's number: as `read`."""
        found: dict[int, Read] = {self.sock.fileno(): self.read}
        for one in self._datagrams:
            found[one.ports.rtp.fileno()] = partial(self._read_datagrams, one.read)
            found[one.ports.rtcp.fileno()] = partial(self._read_datagrams, one.read_reports)
        return found

    @property
    def crowded(self) -> bool:
        """Whether it must be read more often than others, lest the kernel throws away."""
        return any(one.crowded for one in self._datagrams)

    @property
    def report(self) -> SenderReport | None:
        """What the camera's clock showed, as it last said so."""
        return self._video.report

    @property
    def lost(self) -> int:
        """RTP packets of the video that did not come."""
        return self._video.lost

    @property
    def came(self) -> int:
        """Datagrams of the video that came in time; none within a connection."""
        video = self.playing.channel
        return sum(one.delivered for one in self._datagrams if one.ports.channel == video)

    @property
    def dropped(self) -> int:
        """Pictures left out because a part of them was lost."""
        return self._depacketizer.dropped

    def read(self, buffer: memoryview, now: float) -> None:
        """Read what is there and hand on the pictures that are whole."""
        self._arrived = now
        total = 0
        while self.alive and total < _MOST_AT_ONCE:
            try:
                size = self.sock.recv_into(buffer)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                size = 0
            if size == 0:
                self._hand_on()
                self.end(diagnosis.CLOSED)
                return
            total += size
            if self._leaving_until is None:
                self._take(self._rest + buffer[:size])
            if size < len(buffer):
                break
        self._hand_on()

    def _read_datagrams(self, read: Read, buffer: memoryview, now: float) -> None:
        if self.alive and self._leaving_until is None:
            self._arrived = now
            read(buffer, now)
            self._hand_on()

    def begin(self, now: float) -> None:
        """Start the clocks and take what came before the connection was handed over."""
        self._arrived = self._last_video = self._last_units = now
        self._keep_alive_at = now + self.playing.keep_alive_s
        data, self._rest = self._rest, b""
        self._take(data)
        self._hand_on()

    def look(self, now: float) -> None:
        """Keep the session, notice silence; to be called a few times a second."""
        if self._leaving_until is not None:
            if now > self._leaving_until:
                self._close()
            return
        if self.dropped > self._dropped_told:
            DROPPED.inc(self.dropped - self._dropped_told)
            self._dropped_told = self.dropped
        if self._out:
            self._flush()
        for one in self._datagrams:
            one.look(now)
        if self._datagrams:
            self._hand_on()
        if now >= self._keep_alive_at:
            self._keep_alive_at = now + self.playing.keep_alive_s
            self._asked_again = False
            self._keep_alive()
        allowed = max(self._silence_s, min(4 * self._longest_gap, _LONGEST_SILENCE_S))
        if now - self._last_video > allowed:
            self.end(self._silent(allowed))
        elif self._datagrams and now - self._last_units > max(_NO_PICTURE_S, allowed):
            self.end(diagnosis.no_whole_picture(now - self._last_units))

    def _silent(self, seconds: float) -> Failure:
        if self._datagrams and not self._video.begun:
            others = next((one.stranger for one in self._datagrams if one.stranger), "")
            return diagnosis.no_datagrams(self.playing.place, seconds, others)
        return diagnosis.silent(seconds)

    def leave(self, now: float) -> None:
        """Say farewell to the camera and hand on nothing more."""
        if self.alive and self._leaving_until is None:
            self._leaving_until = now + _FAREWELL_S
            self._ask("TEARDOWN")
            for one in self._datagrams:
                one.leave()

    def end(self, failure: Failure) -> None:
        """Close the connection and say why."""
        if self.alive:
            leaving = self._leaving_until is not None
            self._close()
            if not leaving:
                self._receiver.ended(failure)

    def _close(self) -> None:
        self.alive = False
        with suppress(OSError):
            self.sock.close()
        for one in self._datagrams:
            one.leave()

    def _hand_on(self) -> None:
        if self._video_seen:
            self._video_seen = False
            self._longest_gap = max(self._longest_gap, self._arrived - self._last_video)
            self._last_video = self._arrived
        units = self._depacketizer.units
        if units and self._leaving_until is None:
            self._last_units = self._arrived
            self._depacketizer.units = []
            self._receiver.units(units, self._arrived)
        if self._leaving_until is None:
            for side in self._sides:
                side.hand_on(self._arrived)
        if self._depacketizer.unusable > _UNUSABLE_LIMIT:
            self.end(diagnosis.garbled())

    def _take(self, data: bytes) -> None:
        """Take whole frames and messages from `data`; keep what is not whole yet."""
        at, end = 0, len(data)
        video = self._channel
        while end - at >= 4:
            if data[at] != 0x24:
                following = self._between(data, at)
                if following == at:
                    break
                at = following
                continue
            stop = at + 4 + (data[at + 2] << 8 | data[at + 3])
            if stop > end:
                break
            channel = data[at + 1]
            if channel == video:
                self._packet(data, at + 4, stop)
            elif channel == self._rtcp_channel:
                self._reports(data, at + 4, stop)
            elif self._sides and video >= 0:
                self._beside(channel, data, at + 4, stop)
            at = stop
        self._rest = data[at:]

    def _packet(self, data: bytes, at: int, stop: int) -> None:
        """Take one RTP packet of the video."""
        video = self._video
        if not video.read(data, at, stop):
            return
        if video.missing:
            LOST.inc(video.missing)
            self._depacketizer.lost()
        self._video_seen = True
        self._depacketizer.packet(data, video.start, video.stop, video.ticks, marker=video.marker)

    def _packet_alone(self, data: bytes) -> None:
        self._packet(data, 0, len(data))

    def _beside_alone(self, side: Side, data: bytes) -> None:
        if side.track.read(data, 0, len(data)):
            side.payload(data, self._arrived)

    def _farewell(self) -> None:
        self._hand_on()
        self.end(diagnosis.CLOSED)

    def _beside(self, channel: int, data: bytes, at: int, stop: int) -> None:
        side = self._side_of.get(channel)
        if side is not None:
            if side.track.read(data, at, stop):
                side.payload(data, self._arrived)
            return
        side = self._reports_of.get(channel)
        if side is not None:
            # Its farewell says nothing about the video.
            self._take_reports(side.track, channel, data, at, stop)

    def _reports(self, data: bytes, at: int, stop: int) -> None:
        if self._take_reports(self._video, self._rtcp_channel, data, at, stop):
            self.end(diagnosis.CLOSED)

    def _take_reports(self, track: RtpTrack, channel: int, data: bytes, at: int, stop: int) -> bool:
        """Take a compound RTCP packet (RFC 3550 section 6.1); say whether it is a farewell."""
        while stop - at >= 8:
            kind = data[at + 1]
            size = 4 + 4 * (data[at + 2] << 8 | data[at + 3])
            if at + size > stop or data[at] >> 6 != 2:
                return False
            if kind == 200 and size >= 28:
                self._send(track.take_sender_report(data, at, self._arrived, channel))
            elif kind == 203 and track.begun:
                return True
            at += size
        return False

    def _between(self, data: bytes, at: int) -> int:
        """Take what lies between the frames; return where to go on, `at` if more must come."""
        if data[at] in b"\r\n":
            return at + 1
        try:
            read = read_message(data, at)
        except ProtocolError:
            return self._resume(data, at)
        if read is None:
            return at
        self._message(read[0])
        return read[1]

    def _resume(self, data: bytes, at: int) -> int:
        """Return where the next frame seems to begin after bytes that have no meaning."""
        found = at
        while (found := data.find(b"$", found + 1)) >= 0:
            head = data[found : found + 6]
            if len(head) < 6:
                break
            right_kind = head[4] >> 6 == 2 and head[5] & 0x7F == self._video.payload_type
            if head[1] == self._channel and right_kind:
                break
        following = len(data) if found < 0 else found
        self._garbage += following - at
        if self._garbage > _GARBAGE_LIMIT:
            self.end(diagnosis.garbled())
        return following

    def _message(self, message: Message) -> None:
        if message.method:
            self._answer(message)
        elif self._asked:
            self._asked = False
            if message.status == 454:
                self.end(diagnosis.session_lost())
            elif message.status == 401:
                self._authorize(message)
            elif message.status >= 400:
                self.playing.method = "OPTIONS"

    def _authorize(self, message: Message) -> None:
        challenges = read_challenges(message.all("www-authenticate"))
        with suppress(UnknownDigestError):
            again = self._asked_again
            if self.playing.authorizer.accept(challenges, again=again):
                self._asked_again = True
                self._keep_alive()

    def _answer(self, request: Message) -> None:
        """Answer what the camera asks; it may end the stream so."""
        if request.method in ("TEARDOWN", "REDIRECT"):
            self.end(diagnosis.CLOSED)
            return
        status = "200 OK" if request.method == "OPTIONS" else "501 Not Implemented"
        self._send(f"RTSP/1.0 {status}\r\nCSeq: {max(request.sequence, 0)}\r\n\r\n".encode())

    def _keep_alive(self) -> None:
        self._ask(self.playing.method)
        self._asked = True

    def _ask(self, method: str) -> None:
        playing = self.playing
        playing.sequence += 1
        authorization = playing.authorizer.header(method, playing.uri)
        headers = (("Authorization", authorization), ("Session", playing.session))
        self._send(write_request(method, playing.uri, playing.sequence, headers))

    def _send(self, data: bytes) -> None:
        self._out += data
        self._flush()

    def _flush(self) -> None:
        if not self.alive:
            return
        try:
            self._out = self._out[self.sock.send(self._out) :]
        except (BlockingIOError, InterruptedError):
            if len(self._out) > _OUT_LIMIT:
                self.end(diagnosis.CLOSED)
        except OSError:
            self.end(diagnosis.CLOSED)
