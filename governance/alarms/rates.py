"""How often a device may press, and a code may be guessed.

Kept in memory: a restart forgets it, and with several API processes each counts for itself.
"""

from collections import OrderedDict, deque

from access.accounts.throttle import Throttle, TooManyAttemptsError
from core.clock import Clock
from core.errors import HubError

PRESSES = 60
WITHIN_S = 60.0
_MAX_KEYS = 20_000
_PAIRING = "pairing"


class TooManyPressesError(HubError):
    """A device presses more than once a second for a minute: it is broken (429)."""

    status = 429
    code = "too-many-presses"

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            f"This device has pressed more than {PRESSES} times within a minute. "
            "The presses before have been received and are being dealt with.",
            remedy=f"Wait {retry_after} s. If the device does this by itself, have it repaired.",
            detail={"retry_after": retry_after},
        )


class TooManyPairingsError(HubError):
    """Too many codes were tried (429)."""

    status = 429
    code = "too-many-pairings"

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            "Too many codes were tried.",
            remedy=f"Wait {retry_after} s, look at the code again, and type it slowly.",
            detail={"retry_after": retry_after},
        )


class PressRate:
    """Counts presses that were taken in, by device and by what was pressed.

    Never refuses the first of a kind, nor the next fifty-nine. One that could not be stored does
    not count, and tests do not count against what is in earnest.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._presses: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def press(self, device: str, kind: str) -> None:
        """Count a press of `kind` by `device`.

        Raises:
            TooManyPressesError: there were too many of this kind within the last minute.
        """
        now = self._clock.monotonic()
        times = self._presses.setdefault((device, kind), deque(maxlen=PRESSES))
        self._presses.move_to_end((device, kind))
        while len(self._presses) > _MAX_KEYS:
            self._presses.popitem(last=False)
        if len(times) == PRESSES and now - times[0] < WITHIN_S:
            raise TooManyPressesError(max(1, int(WITHIN_S - (now - times[0]) + 0.999)))
        times.append(now)

    def take_back(self, device: str, kind: str) -> None:
        """Forget the last press of this kind: it was not stored, and has to be sent again."""
        times = self._presses.get((device, kind))
        if times:
            times.pop()


class PairingThrottle:
    """Slows down guessing: at one address after five tries, everywhere together after fifty."""

    def __init__(self, clock: Clock) -> None:
        self._throttle = Throttle(clock)

    def attempt(self, address: str) -> None:
        """Count a try from `address` before its code is looked at.

        Raises:
            TooManyPairingsError: the address, or everybody, must wait.
        """
        try:
            self._throttle.attempt_second_step(_PAIRING, address, known=False)
        except TooManyAttemptsError as error:
            raise TooManyPairingsError(error.retry_after) from error

    def succeeded(self, address: str) -> None:
        """Forget the failures of an address: its code was right."""
        self._throttle.second_step_succeeded(_PAIRING, address)
