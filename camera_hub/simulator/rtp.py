"""H.264 in RTP, interleaved in a TCP connection (RFC 6184, RFC 3550, RFC 2326 section 10.12)."""

import struct
from collections.abc import Iterator
from datetime import UTC, datetime

from camera_hub.simulator.clip import AccessUnit, LoopedClip

PAYLOAD_TYPE = 96
MAX_PAYLOAD = 1400
_FU_A = 28
_NTP_EPOCH = datetime(1900, 1, 1, tzinfo=UTC)


def payloads(clip: LoopedClip, unit: AccessUnit) -> Iterator[tuple[bytes, bool]]:
    """Yield (RTP payload, whether it is the picture's last) for one picture.

    A keyframe is led by the parameter sets, so that a viewer may join at any of them.
    """
    nals = (clip.sps, clip.pps, *unit.nals) if unit.keyframe else unit.nals
    for index, nal in enumerate(nals):
        last_nal = index == len(nals) - 1
        if len(nal) <= MAX_PAYLOAD:
            yield nal, last_nal
            continue
        indicator, kind = nal[0] & 0xE0 | _FU_A, nal[0] & 0x1F
        step = MAX_PAYLOAD - 2
        for at in range(1, len(nal), step):
            first, last = at == 1, at + step >= len(nal)
            header = kind | (0x80 if first else 0) | (0x40 if last else 0)
            yield bytes((indicator, header)) + nal[at : at + step], last and last_nal


def packet(
    payload: bytes,
    *,
    marker: bool,
    sequence: int,
    ticks: int,
    ssrc: int,
    payload_type: int = PAYLOAD_TYPE,
) -> bytes:
    """Return one RTP packet; sequence number and timestamp wrap round as they must."""
    header = struct.pack(
        "!BBHII",
        0x80,
        payload_type | (0x80 if marker else 0),
        sequence & 0xFFFF,
        ticks & 0xFFFFFFFF,
        ssrc,
    )
    return header + payload


def sender_report(*, ssrc: int, now: datetime, ticks: int, packets: int, octets: int) -> bytes:
    """Return an RTCP sender report: RTP timestamp `ticks` is the wall-clock time `now`."""
    since = now - _NTP_EPOCH
    seconds = since.days * 86_400 + since.seconds
    fraction = (since.microseconds << 32) // 1_000_000
    return struct.pack(
        "!BBHIIIIII",
        0x80,
        200,
        6,
        ssrc,
        seconds & 0xFFFFFFFF,
        fraction,
        ticks & 0xFFFFFFFF,
        packets & 0xFFFFFFFF,
        octets & 0xFFFFFFFF,
    )


def interleaved(channel: int, data: bytes) -> bytes:
    """Return `data` framed for an RTSP connection."""
    return struct.pack("!cBH", b"$", channel, len(data)) + data
