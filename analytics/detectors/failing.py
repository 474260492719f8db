"""How a detection that was asked for ends without an answer."""

from concurrent.futures import Future, InvalidStateError

from analytics.detectors.types import (
    DetectionFailedError,
    DetectionLateError,
    DetectorUnavailableError,
    Rows,
)


def fail(future: "Future[Rows]", error: BaseException) -> None:
    """End a future with an error, unless somebody ended it before."""
    if not isinstance(error, DetectionLateError | DetectorUnavailableError | DetectionFailedError):
        error = DetectionFailedError(f"The detection failed: {error}.")
    try:
        future.set_exception(error)
    except InvalidStateError:
        return
