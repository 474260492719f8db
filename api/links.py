"""Links out of messages, which need no sign-in: slows down whoever tries ones that do not exist."""

from collections import OrderedDict

from starlette.requests import Request

from core.clock import Clock
from core.errors import HubError, NotFoundError

MISSES = 120
WITHIN_S = 60.0
_MAX_ADDRESSES = 10_000


class TooManyLinksError(HubError):
    """An address has asked for too many links that do not exist (429)."""

    status = 429
    code = "too-many-links"

    def __init__(self) -> None:
        super().__init__(
            "Too many links that do not exist were asked for from your address.",
            remedy="Wait a minute and open the link in the message again.",
            detail={"retry_after": int(WITHIN_S)},
        )


class LinkThrottle:
    """Counts links that do not exist, for each address. Nobody guesses 128 bits; it keeps quiet
    whoever tries. Kept in memory, for each process by itself.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._misses: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def missed(self, request: Request) -> HubError:
        """Count a link that does not exist; returns the error to raise.

        A link that does exist is never refused: many people share an address.
        """
        address, now = _address(request), self._clock.monotonic()
        began, misses = self._misses.pop(address, (now, 0))
        if now - began >= WITHIN_S:
            began, misses = now, 0
        if misses >= MISSES:
            self._misses[address] = (began, misses)
            return TooManyLinksError()
        self._misses[address] = (began, misses + 1)
        while len(self._misses) > _MAX_ADDRESSES:
            self._misses.popitem(last=False)
        return NotFoundError(
            "There is no such link.",
            remedy="Open the link in the message itself; it may have been cut.",
            code="no-such-link",
        )


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
