"""Packets into fragmented MP4, for Media Source Extensions; never re-encoded.

The media library writes the init segment (ISO/IEC 14496-12 and -15). The fragments are
written here: the library gives a frame away only when the next one comes, which would be one
frame of delay for every viewer. A fragment is one frame: 112 bytes of boxes and the NAL units
as the camera sent them, with lengths in place of start codes. Sound lies in fragments of its own
between them, on a second track.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING

import av

from camera_hub.live.voice import Voice
from camera_hub.recording.sound import with_codec, with_sound
from camera_hub.streams.parameters import nal_units, open_elementary
from camera_hub.streams.types import ReasonCode, StreamInfo, StreamState

if TYPE_CHECKING:
    from camera_hub.streams.types import Packet, SoundPacket

TIMESCALE = 90000
_MOVFLAGS = "frag_every_frame+empty_moov+default_base_moof+frag_discont"
_TRACK = 1
_SYNC_SAMPLE = 0x02000000
_OTHER_SAMPLE = 0x01010000
# moof(mfhd, traf(tfhd, tfdt version 1, trun version 1 with one sample)), mdat
_BOXES = struct.Struct(">I4s I4sII I4s I4sII I4sIQ I4sIIiIIIi I4s")
_MOOF_SIZE = _BOXES.size - 8
_GAP_LIMIT_S = 1.0


@dataclass(frozen=True, slots=True)
class Init:
    """How to play what follows: codec string (RFC 6381), size in pixels and init segment."""

    codec: str
    width: int
    height: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Fragment:
    """One frame, or sound (no keyframe). `at` is when it arrived from the camera (aware, UTC)."""

    keyframe: bool
    at: datetime
    data: bytes


@dataclass(frozen=True, slots=True)
class StateChange:
    """The stream has a new state."""

    state: StreamState
    reason_code: ReasonCode
    reason: str


LiveItem = Init | Fragment | StateChange
"""What a viewer receives, in order: a state, an init, fragments from a keyframe on."""


class Muxer:
    """Makes the init segment and the fragments of a stream with unchanging parameters."""

    def __init__(self, info: StreamInfo, keyframe: bytes, *, sound: bool = False) -> None:
        """Begin a stream with `keyframe`, an access unit in Annex B form.

        With `sound` that of the stream gets a track of its own, if the stream has any.

        Raises:
            av.error.FFmpegError: the keyframe cannot be understood.
        """
        self.init = _init_segment(info, keyframe)
        self._voice: Voice | None = None
        if sound and info.sound is not None:
            self._voice = Voice(info.sound)
            self.init = replace(
                self.init,
                data=with_sound(self.init.data, info.sound),
                codec=with_codec(self.init.codec, sound=True),
            )
        self._scale = info.time_base * TIMESCALE
        self._step = round(TIMESCALE / info.fps) if 1 <= info.fps <= 120 else TIMESCALE // 25
        self._sequence = 0
        self._origin = 0
        self._last = 0
        self._last_true = 0

    def fragment(self, packet: Packet, at: datetime) -> Fragment:
        """Return one packet as a fragment. Its dts must be above that of the packet before."""
        dts, pts = packet.dts or 0, packet.pts or 0
        if self._scale != 1:
            dts, pts = int(dts * self._scale), int(pts * self._scale)
        time = self._decode_time(dts)
        sample = _length_prefixed(bytes(packet))
        self._sequence += 1
        boxes = _BOXES.pack(
            *(_MOOF_SIZE, b"moof"),
            *(16, b"mfhd", 0, self._sequence),
            *(80, b"traf"),
            *(16, b"tfhd", 0x020000, _TRACK),
            *(20, b"tfdt", 0x01000000, time),
            *(36, b"trun", 0x01000F01, 1, _MOOF_SIZE + 8, self._step, len(sample)),
            *(_SYNC_SAMPLE if packet.is_keyframe else _OTHER_SAMPLE, pts - dts),
            *(len(sample) + 8, b"mdat"),
        )
        return Fragment(packet.is_keyframe, at, boxes + sample)

    def sound(self, packet: SoundPacket, at: datetime) -> Fragment | None:
        """Return a frame of sound as a fragment; None where there is no place for it.

        Where the viewers' timeline leaves a gap of the pictures out, it does so with the sound too.
        """
        if self._voice is None or not self._sequence:
            return None
        seconds = (float(packet.at * self._scale) - self._origin) / TIMESCALE
        return self._heard(self._voice.put(packet, seconds, self._sequence), at)

    def silence(self, at: datetime) -> Fragment | None:
        """Return silence where sound is late behind the last picture; None where it is not."""
        if self._voice is None:
            return None
        return self._heard(self._voice.fill(self._last / TIMESCALE, self._sequence), at)

    @staticmethod
    def _heard(data: bytes, at: datetime) -> Fragment | None:
        return Fragment(keyframe=False, at=at, data=data) if data else None

    def _decode_time(self, dts: int) -> int:
        """Return the time of the next sample on the viewers' timeline.

        Browsers take a step of more than twice the duration of the sample before as a break
        and drop everything up to the next keyframe. A sample's duration is not known before
        the next one comes, so steps are held below that: a late frame is placed early and
        those after it catch up; what is missing for longer than a second is cut out.
        """
        if self._sequence == 0:
            self._origin = dts
        else:
            step = min(max(dts - self._last_true, 1), TIMESCALE)
            limit = self._last + self._step * 19 // 10
            target = dts - self._origin
            if target > limit + _GAP_LIMIT_S * TIMESCALE:
                self._origin = dts - (self._last + self._step)
                target = self._last + self._step
            else:
                self._step += round((step - self._step) / 8)
                self._step = max(self._step, TIMESCALE // 240)
            self._last = max(min(target, limit), self._last + 1)
        self._last_true = dts
        return self._last


def _length_prefixed(access_unit: bytes) -> bytes:
    parts = []
    for unit in nal_units(access_unit):
        parts.append(len(unit).to_bytes(4, "big"))
        parts.append(unit)
    return b"".join(parts)


def _init_segment(info: StreamInfo, keyframe: bytes) -> Init:
    output = _Written()
    with open_elementary(info.codec, info.extradata + keyframe) as source:
        template = source.streams.video[0]
        # Closing would write an index after the init segment; what comes then is left out.
        container = av.open(output, mode="w", format="mp4", options={"movflags": _MOVFLAGS})
        stream = container.add_stream_from_template(template)
        stream.time_base = Fraction(1, TIMESCALE)
        if info.codec == "hevc":
            # Parameter sets lie in the sample entry: the form that browsers ask for.
            stream.codec_context.codec_tag = "hvc1"
        container.start_encoding()
        data = output.getvalue()
        container.close()
    return Init(codec_string(info.codec, data), info.width, info.height, data)


class _Written(io.BytesIO):
    """A file that cannot be rewound, as a network is."""

    def seekable(self) -> bool:
        return False


def codec_string(codec: str, init: bytes) -> str:
    """Return the codec's name after RFC 6381 from the configuration record in `init`."""
    if codec == "h264":
        record = init[init.index(b"avcC") + 4 :]
        return f"avc1.{record[1:4].hex()}"
    record = init[init.index(b"hvcC") + 4 :]
    space = ("", "A", "B", "C")[record[1] >> 6]
    tier = "H" if record[1] & 0x20 else "L"
    compatibility = int(f"{int.from_bytes(record[2:6], 'big'):032b}"[::-1], 2)
    constraints = record[6:12].rstrip(b"\x00")
    tail = "".join(f".{byte:X}" for byte in constraints)
    return f"hvc1.{space}{record[1] & 0x1F}.{compatibility:X}.{tier}{record[12]}{tail}"
