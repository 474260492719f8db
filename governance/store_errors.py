"""Failures of the store, said so that a person and a retrying program understand them."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from core.errors import HubError, UnavailableError
from governance.attachments.store import StorageFullError

_AGAIN = "Nothing was stored. Send it again; an id that was stored after all is recognised."


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn what the drivers raise when the store is locked, full or away into a clear error.

    To be put around the transaction, commit included. Mistakes in a statement stay as they are.

    Raises:
        UnavailableError: 503 `store-busy` or `store-away`.
        StorageFullError: 507: the disk of the database is full.
    """
    try:
        yield
    except PoolTimeoutError as error:
        raise _busy() from error
    except DBAPIError as error:
        found = _explain(error)
        if found is None:
            raise
        raise found from error
    except ConnectionError as error:
        raise _away() from error


def _explain(error: DBAPIError) -> HubError | None:
    text = str(error.orig).lower()
    state = getattr(error.orig, "sqlstate", None) or ""
    if "disk is full" in text or state == "53100":
        return StorageFullError("The disk of the database is full; nothing was stored.",
                                remedy="Free some space and send it again.")  # fmt: skip
    if "is locked" in text or state.startswith("53") or state in {"40001", "40P01", "55P03"}:
        return _busy()
    if error.connection_invalidated or state.startswith(("08", "57")):
        return _away()
    if "connection" in text or "disk i/o error" in text or "unable to open" in text:
        return _away()
    return None


def _busy() -> UnavailableError:
    return UnavailableError(
        "The database is busy and did not answer in time.", remedy=_AGAIN, code="store-busy"
    )


def _away() -> UnavailableError:
    return UnavailableError("The database is away.", remedy=_AGAIN, code="store-away")
