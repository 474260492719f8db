"""What goes into the intake of signals and what comes out of it."""

from dataclasses import dataclass
from uuid import UUID

from core.errors import ConflictError
from governance.signals.reading import ReadSignal
from governance.signals.schemas import SignalReceipt


class SignalIdReusedError(ConflictError):
    """The same source has sent other content under this id (409)."""

    code = "signal-id-reused"


@dataclass(frozen=True, slots=True)
class CameraFacts:
    """What the hub itself knows of a camera; it outranks what a signal claims."""

    name: str
    area: str
    household_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class HouseholdFacts:
    """The household of an alarm, the area it lies in, and what it is called, if that is known."""

    id: UUID
    area: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Posted:
    """A checked signal, with what the hub knows of its camera and of its alarm's household."""

    signal: ReadSignal
    camera: CameraFacts | None = None
    household: HouseholdFacts | None = None
    posted_by: UUID | None = None

    @property
    def area(self) -> str:
        """Where it lies: the household's area, else the camera's, else what the signal says."""
        if self.household is not None:
            return self.household.area
        return self.signal.event.data.area if self.camera is None else self.camera.area


@dataclass(frozen=True, slots=True)
class Receipt:
    """The receipt of a signal.

    Attributes:
        body: what its sender is answered.
        is_new: False for one that was there before.
        opened: number of the incident that it has opened; "" if it has opened none.
    """

    body: SignalReceipt
    is_new: bool
    opened: str = ""
