"""Replacing the name in a stream's address by an address that was checked."""

from __future__ import annotations

from dataclasses import replace

from camera_hub.streams.address import endpoint
from camera_hub.streams.diagnosis import Failure, StreamFailure, unreachable
from camera_hub.streams.reach import Reach
from camera_hub.streams.types import ReasonCode, StreamSource, StreamState
from core.errors import InvalidInputError


def pinned(source: StreamSource, reach: Reach, timeout_s: float) -> StreamSource:
    """Return `source` with its name replaced; looks the name up for `timeout_s` at most.

    Raises:
        StreamFailure: the name is unknown, or leads where no camera may be.
        AddressError: it is no address of a stream.
    """
    host, port = endpoint(source.url)
    try:
        url = reach.pinned(source.url, port, timeout_s)
    except OSError:
        raise StreamFailure(unreachable(f"{host}:{port}")) from None
    except InvalidInputError as error:
        raise StreamFailure(
            Failure(ReasonCode.ERROR, str(error), StreamState.NOT_FOUND, patient=True)
        ) from None
    return source if url == source.url else replace(source, url=url)
