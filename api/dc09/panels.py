"""What becomes of a frame of a panel, and what the panel is answered, after the commit.

ACK: it is stored, or nothing is to be stored of it. NAK: its time is wrong; here is the right one.
DUH: it came whole and nobody acts on it. Silence: it was damaged, or the hub cannot store it now;
a panel sends both again.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy.exc import SQLAlchemyError

from api.alarm_intake import Presser, take_press
from api.hub import Hub
from api.intake import take_in
from core.errors import HubError
from core.ids import new_id
from core.logging import get_logger
from core.secrets import SecretBoxError
from governance.alarms.dc09 import answers
from governance.alarms.dc09.frames import Content, Frame, FrameError, read_content, read_frame
from governance.alarms.dc09.meanings import Meaning, meaning_of
from governance.alarms.dc09.sealed import unseal
from governance.alarms.faults import TROUBLE, fault
from governance.alarms.presses import Press
from governance.alarms.service import HouseholdDevice

AHEAD, BEHIND = timedelta(seconds=20), timedelta(seconds=40)
"""What a panel's clock may be off (DC-09): the window in which a recording could be played back."""

UNDERSTOOD = ("SIA-DCS", "ADM-CID", "NULL")
REMEMBERED_S = 300.0
"""How long a frame without a timestamp is recognised when it is sent again."""

_REMEMBERED = 10_000
_PRESS_OF_FRAME = UUID("b6a8a2a2-0b7e-5d4e-8a34-3f0d7b1d5a0e")
_log = get_logger("api.dc09")


@dataclass(frozen=True, slots=True)
class _Heard:
    """A frame that counts: of a known panel, in the clear, in time."""

    frame: Frame
    content: Content
    found: HouseholdDevice
    clock_off: bool


class _UselessError(ValueError):
    """A whole frame on which nobody acts; the text is a reason to be counted by."""


class _OutOfTimeError(ValueError):
    """A sealed frame that could be a recording."""


class Panels:
    """Answers frames, whichever socket they came through."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._door = hub.alarm_devices.dc09
        self._recent: OrderedDict[str, tuple[str, float]] = OrderedDict()

    async def answer(self, raw: bytes) -> bytes | None:
        """Return the answer to what stands between LF and CR; None is silence."""
        try:
            frame = read_frame(raw)
        except FrameError as error:
            self._door.refuse(str(error))
            return None
        try:
            return await self._answer(frame)
        except (HubError, SQLAlchemyError, OSError) as error:
            if isinstance(error, HubError) and error.status < 429:
                # It would be refused the next time, too.
                self._door.refuse(error.code)
                return answers.duh(frame)
            # Nothing was promised: the panel sends it again.
            self._door.refuse("not-stored")
            _log.error("frame_not_stored", account=frame.account, error=type(error).__name__)
            return None

    async def _answer(self, frame: Frame) -> bytes:
        now = self._hub.clock.now()
        try:
            heard, key = await self._hear(frame, now)
            if not await self._act(heard):
                raise _UselessError("code")
        except _OutOfTimeError:
            self._door.refuse("time")
            return answers.nak(now)
        except (_UselessError, FrameError) as error:
            self._door.refuse(str(error))
            _log.warning("frame_refused", account=frame.account, reason=str(error))
            return answers.duh(frame)
        self._door.received += 1
        self._hub.alarm_devices.presence.heard(heard.found.device.id, via="dc09")
        return answers.ack(frame, key, now)

    async def _hear(self, frame: Frame, now: datetime) -> tuple[_Heard, bytes | None]:
        """Return a frame that counts, and the key of its panel.

        Raises:
            _UselessError, FrameError: nothing can be done with it.
            _OutOfTimeError: it is sealed, and was so too long ago or has a wrong clock.
        """
        async with self._hub.database.read() as session:
            found = await self._hub.alarm_devices.panel(session, frame.account)
        if found is None or frame.id not in UNDERSTOOD:
            raise _UselessError("account" if found is None else "form")
        try:
            key = self._hub.alarm_devices.key_of(found.device)
        except SecretBoxError as error:
            raise _UselessError("sealed-with-another-key") from error
        if frame.encrypted != (key is not None):
            # In the clear from a panel that encrypts: anybody could have sent it.
            raise _UselessError("not-encrypted" if key else "no-key")
        content = read_content(unseal(frame.rest, key) if key else frame.rest)
        in_time = content.at is not None and now - BEHIND <= content.at <= now + AHEAD
        if frame.encrypted and not in_time:
            raise _OutOfTimeError
        if content.account not in {"", frame.account}:
            raise _UselessError("account")
        clock_off = content.at is not None and not in_time
        return _Heard(frame, content, found, clock_off), key

    async def _act(self, heard: _Heard) -> bool:
        """Do what a frame asks for; False if it is not understood.

        Raises:
            HubError: it could not be stored.
        """
        meaning = meaning_of(heard.frame.id, heard.content.data)
        if meaning.what == "unknown":
            return False
        if meaning.what in {"alarm", "restored", "test"}:
            press = self._press(heard, meaning)
            await take_press(self._hub, Presser.of(heard.found), press)
        elif meaning.what in {"fault", "mended"}:
            await self._trouble(heard, meaning)
        return True

    def _press(self, heard: _Heard, meaning: Meaning) -> Press:
        about: dict[str, Any] = {
            "panel": {
                "account": heard.frame.account,
                "sequence": heard.frame.sequence,
                "code": meaning.code,
                "zone": meaning.zone,
                "text": meaning.text,
            }
        }
        if meaning.what == "restored":
            # Noted in the history. That a sensor is quiet again does not end an alarm.
            about["phase"] = "ended"
        return Press(
            id=self._identity(heard),
            kind=meaning.alarm or "security",
            status="Test" if meaning.what == "test" else "Actual",
            pressed_at=heard.content.at,
            warnings=("clock_off",) if heard.clock_off else (),
            via="dc09",
            about=about,
        )

    async def _trouble(self, heard: _Heard, meaning: Meaning) -> None:
        device, household = heard.found.device, heard.found.household
        what = "Battery low" if meaning.battery else f"Trouble {meaning.code}"
        over = meaning.what == "mended"
        signal = fault(
            self._hub.clock.now(),
            type=TROUBLE,
            about=str(device.id),
            at=self._identity(heard),
            headline=f"{what}{' is over' if over else ''}: '{device.name}' of {household.name}",
            area=household.area,
            phase="ended" if over else "started",
            key="panel",
            severity="Minor",
            panel={"code": meaning.code, "zone": meaning.zone},
        )
        for answer in await take_in(self._hub, None, [signal]):
            if isinstance(answer, HubError):
                raise answer

    def _identity(self, heard: _Heard) -> str:
        """Return the id of what a frame tells: the same when it is sent again after a lost ACK."""
        frame, content = heard.frame, heard.content
        told = (frame.account, frame.sequence, content.stamp, content.data)
        if content.stamp:
            return str(uuid5(_PRESS_OF_FRAME, "\n".join((str(heard.found.device.id), *told))))
        return self._remembered("\n".join(told))

    def _remembered(self, told: str) -> str:
        # Sequence numbers come around: without a timestamp, the same frame next week is another.
        now = self._hub.clock.monotonic()
        known = self._recent.get(told)
        if known is not None and now - known[1] < REMEMBERED_S:
            return known[0]
        identity = str(new_id())
        self._recent[told] = (identity, now)
        self._recent.move_to_end(told)
        while len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)
        return identity
