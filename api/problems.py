"""Errors on the wire: RFC 9457 problem details that say what happened and what to do."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketState

from core.errors import HubError, UnauthenticatedError
from core.logging import get_logger

MEDIA_TYPE = "application/problem+json"
_log = get_logger("api.problems")

_REMEDIES = {
    400: "Check the request against /api/v1/openapi.json.",
    404: "Check the address.",
    405: "Use one of the methods in the Allow header.",
    413: "Send less at once.",
    415: "Send the media type that /api/v1/openapi.json names.",
    500: "Try again. If it stays, look for the number above in the hub's log.",
}


class FieldError(BaseModel):
    """What is wrong with one field of the request."""

    field: str
    message: str


class Problem(BaseModel):
    """RFC 9457 problem details. Some codes carry further members, as their description says."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    remedy: str
    code: str
    instance: str
    errors: list[FieldError] | None = None


def problem_response(
    *,
    status: int,
    code: str,
    detail: str,
    remedy: str = "",
    instance: str = "",
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Make the answer; `extra` members come after the standard ones and never replace them."""
    body: dict[str, Any] = {
        "type": f"about:blank#{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "remedy": remedy or _REMEDIES.get(status, ""),
        "code": code,
        "instance": instance,
    }
    body = {**(extra or {}), **body}
    return Response(
        orjson.dumps(body, default=str),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def install(app: FastAPI) -> None:
    """Turn every error of `app` into a problem."""
    # Starlette's types know handlers for requests or for WebSockets; two of ours serve both.
    handlers: dict[type[Exception], Any] = {
        HubError: _hub_error,
        RequestValidationError: _invalid_request,
        WebSocketRequestValidationError: _invalid_websocket,
        HTTPException: _http_error,
    }
    for error, handler in handlers.items():
        app.add_exception_handler(error, handler)


async def close_websocket(websocket: WebSocket, status: int, reason: str) -> None:
    """Close with 4000 + `status`; accepts first if need be, or the browser would not see why."""
    if websocket.application_state is WebSocketState.CONNECTING:
        await websocket.accept()
    if websocket.application_state is WebSocketState.CONNECTED:
        await websocket.close(4000 + status, reason.encode()[:120].decode(errors="ignore"))


async def _hub_error(connection: HTTPConnection, error: Exception) -> Response | None:
    assert isinstance(error, HubError)
    if error.status >= 500:
        _log.warning("answered_with_error", code=error.code, error=str(error))
    if isinstance(connection, WebSocket):
        await close_websocket(connection, error.status, error.message)
        return None
    headers: dict[str, str] = {}
    if isinstance(error, UnauthenticatedError):
        headers["WWW-Authenticate"] = 'Bearer realm="camera-hub"'
    if isinstance(wait := error.detail.get("retry_after"), int):
        headers["Retry-After"] = str(wait)
    return problem_response(
        status=error.status,
        code=error.code,
        detail=error.message,
        remedy=error.remedy,
        instance=connection.url.path,
        extra=error.detail,
        headers=headers,
    )


def _field_errors(errors: Any) -> list[dict[str, str]]:
    """Return field and message of each error; never the value, which may be a password."""
    found = []
    for item in errors:
        place = [str(part) for part in item["loc"]]
        if len(place) > 1 and place[0] in {"body", "query", "path", "header", "cookie"}:
            place = place[1:]
        message = str(item["msg"]).removeprefix("Value error, ")
        found.append({"field": ".".join(place), "message": message})
    return found


async def _invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = _field_errors(error.errors())
    first = errors[0] if errors else {"field": "", "message": "not valid"}
    return problem_response(
        status=422,
        code="invalid-input",
        detail=f"The request is not valid: {first['field']}: {first['message']}.",
        remedy="Correct the fields named in errors.",
        instance=request.url.path,
        extra={"errors": errors},
    )


async def _invalid_websocket(websocket: WebSocket, error: Exception) -> None:
    assert isinstance(error, WebSocketRequestValidationError)
    errors = _field_errors(error.errors())
    first = errors[0] if errors else {"field": "", "message": "not valid"}
    await close_websocket(websocket, 422, f"{first['field']}: {first['message']}")


async def _http_error(connection: HTTPConnection, error: Exception) -> Response | None:
    assert isinstance(error, HTTPException)
    if isinstance(connection, WebSocket):
        await close_websocket(connection, error.status_code, str(error.detail))
        return None
    if error.status_code in {204, 304}:
        return Response(status_code=error.status_code, headers=error.headers)
    status = HTTPStatus(error.status_code)
    detail = {
        404: "There is nothing at this address.",
        405: "This method is not offered here.",
    }.get(error.status_code, str(error.detail))
    return problem_response(
        status=error.status_code,
        code=status.phrase.lower().replace(" ", "-"),
        detail=detail,
        instance=connection.url.path,
        headers=error.headers,
    )
