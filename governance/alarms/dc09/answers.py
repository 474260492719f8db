"""What a receiver answers to a panel: ACK, NAK, DUH. Silence is the fourth answer."""

from datetime import datetime

from governance.alarms.dc09.frames import Frame, stamp_of, write_frame
from governance.alarms.dc09.sealed import seal


def ack(frame: Frame, key: bytes | None, now: datetime) -> bytes:
    """Return the acknowledgement of a frame: what it says is committed. Sealed as the frame was."""
    head = f"{frame.sequence}{frame.receiver}{frame.line}#{frame.account}["
    if frame.encrypted and key is not None:
        return write_frame(f'"*ACK"{head}{seal("]" + stamp_of(now), key)}')
    return write_frame(f'"ACK"{head}]')


def duh(frame: Frame) -> bytes:
    """Return that the frame came whole and nothing can be done with it: a promise of nothing."""
    account = f"#{frame.account}" if frame.account else ""
    return write_frame(f'"DUH"{frame.sequence}{frame.receiver}{frame.line}{account}[]')


def nak(now: datetime) -> bytes:
    """Return that the frame's time is wrong, and the right one, by which a panel sets its clock."""
    return write_frame(f'"NAK"0000R0L0A0[]{stamp_of(now)}')
