"""Failures of the store, said so that a person and a retrying program understand them.

What the drivers raise while the store is locked, full or away becomes 503 or 507 on every
route, the commit and the door's own look-ups included. A mistake in a statement stays a 500.
"""

from traceback import walk_tb
from typing import Any

from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from api.problems import close_websocket, problem_response
from core.errors import HubError, UnavailableError
from core.logging import get_logger
from core.metrics import counter
from governance.attachments.store import StorageFullError

RETRY_AFTER_S = 1

_CONTENDED = {"40001", "40P01", "55P03"}  # serialisation, deadlock, lock not available
_GONE = ("08", "57")  # connection exception, operator intervention
_GONE_WORDS = ("connection", "disk i/o error", "unable to open")
_READ_ONLY = "25006"  # read-only SQL transaction

_AGAIN = "Send it again; what was stored after all is recognised by its id."
_failures = counter("store_failures", "Requests that the store could not serve", ("code",))
_log = get_logger("api.store")


def install_store_problems(app: FastAPI) -> None:
    """Answer what the store's drivers raise."""
    for kind in (DBAPIError, PoolTimeoutError, OSError):
        app.add_exception_handler(kind, _answer)


def explain(error: Exception) -> HubError | None:
    """Return what `error` means for the caller, or None if it is a mistake of ours."""
    if isinstance(error, PoolTimeoutError):
        return _busy()
    if isinstance(error, OSError):
        return _away() if _while_connecting(error) else None
    return _explain_driver(error) if isinstance(error, DBAPIError) else None


def _while_connecting(error: OSError) -> bool:
    """Say whether the PostgreSQL driver raised it: it lets errors of its sockets through as is."""
    return any(
        str(frame.f_globals.get("__name__", "")).startswith("asyncpg.")
        for frame, _ in walk_tb(error.__traceback__)
    )


def _explain_driver(error: DBAPIError) -> HubError | None:
    text = str(error.orig).lower()
    state = getattr(error.orig, "sqlstate", None) or ""
    found: HubError | None = None
    if "disk is full" in text or state == "53100":
        found = StorageFullError(
            "The disk of the database is full; nothing was stored.",
            remedy="Free some space and send it again.",
        )
    elif "readonly database" in text or state == _READ_ONLY:
        found = UnavailableError(
            "The database can be read but not written; nothing was stored.",
            remedy="Make its file and its directory writable for the hub, and send it again.",
            code="store-away",
        )
    elif "is locked" in text or state.startswith("53") or state in _CONTENDED:
        found = _busy()
    elif (
        error.connection_invalidated
        or state.startswith(_GONE)
        or any(words in text for words in _GONE_WORDS)
    ):
        found = _away()
    return found


def _busy() -> UnavailableError:
    return UnavailableError(
        "The database is busy and did not answer in time.", remedy=_AGAIN, code="store-busy"
    )


def _away() -> UnavailableError:
    return UnavailableError("The database is away.", remedy=_AGAIN, code="store-away")


async def _answer(connection: HTTPConnection, error: Exception) -> Any:
    found = explain(error)
    if found is None:
        raise error
    _failures.labels(found.code).inc()
    _log.warning("store_failed", code=found.code, error=str(error)[:300])
    if isinstance(connection, WebSocket):
        await close_websocket(connection, found.status, found.message)
        return None
    return problem_response(
        status=found.status,
        code=found.code,
        detail=found.message,
        remedy=found.remedy,
        instance=connection.url.path,
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )
