"""Errors that carry a message for a person and a stable code for a program.

Services raise these; the API turns them into RFC 9457 problem details and the
command line into one line on stderr. `message` says what happened, `remedy`
what to do about it.
"""

from collections.abc import Mapping
from typing import Any


class HubError(Exception):
    """Base of every error that a person is meant to read."""

    status = 500
    code = "internal"

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        code: str | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        if code is not None:
            self.code = code
        self.detail: Mapping[str, Any] = detail or {}

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class InvalidInputError(HubError):
    """What was sent cannot be understood or breaks a rule (422)."""

    status = 422
    code = "invalid-input"


class UnauthenticatedError(HubError):
    """Nobody is signed in, or the credentials are wrong (401)."""

    status = 401
    code = "unauthenticated"


class ForbiddenError(HubError):
    """The policy does not permit this (403)."""

    status = 403
    code = "forbidden"


class NotFoundError(HubError):
    """The thing does not exist, or the caller may not know that it does (404)."""

    status = 404
    code = "not-found"


class ConflictError(HubError):
    """The thing is not in a state where this can be done (409)."""

    status = 409
    code = "conflict"


class UpstreamError(HubError):
    """Another device or process answered wrongly or not at all (502)."""

    status = 502
    code = "upstream"


class UnavailableError(HubError):
    """Something this needs is away for the moment; trying again is right (503)."""

    status = 503
    code = "unavailable"
