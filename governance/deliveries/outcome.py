"""What became of one attempt, and when the next one comes."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

BACKOFF_S = (5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
"""Seconds before the second attempt, the third, and so on; the last one stays."""

UNCERTAIN_PAUSE_S = 120.0
"""Before a message that may have arrived is repeated through a provider that knows no key."""

MAX_RETRY_AFTER_S = 3600.0
_JITTER = 0.2


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended. `code` is a word for programs, `detail` a line for people, no secret.

    `permanent`: asking the same provider again would end the same way. `gone`: the push service
    has forgotten the subscription. `retry_after_s`: what the provider asked for.
    """

    state: Literal["sent", "failed", "unknown", "cancelled"]
    code: str = ""
    detail: str = ""
    permanent: bool = False
    gone: bool = False
    retry_after_s: float | None = None
    provider_ref: str = ""


def failed(code: str, detail: str = "", *, permanent: bool = False) -> Outcome:
    """Return the outcome of an attempt that certainly reached nobody."""
    return Outcome("failed", code, detail[:300], permanent)


def unknown(code: str, detail: str = "") -> Outcome:
    """Return the outcome of an attempt that may have reached somebody."""
    return Outcome("unknown", code, detail[:300])


def of_status(status: int, headers: Mapping[str, str]) -> Outcome:
    """Return what an HTTP status without success means (RFC 9110).

    Anything in the 400s but 408 and 429 stays wrong however often it is sent; redirects are not
    followed. The rest may pass.
    """
    passing = status in {408, 429} or status >= 500
    return Outcome(
        "failed",
        f"http-{status}",
        f"answered {status}",
        permanent=not passing,
        retry_after_s=_retry_after(headers.get("retry-after", "")) if passing else None,
    )


def pause_s(attempt: int, retry_after_s: float | None = None) -> float:
    """Return the seconds between attempt number `attempt` (from 1), which failed, and the next.

    Never shorter than what the provider asked for, up to an hour.
    """
    usual = BACKOFF_S[min(attempt, len(BACKOFF_S)) - 1]
    # Not for secrets: it keeps those that failed together from coming back together.
    usual *= 1 + random.uniform(-_JITTER, _JITTER)  # noqa: S311
    return max(usual, min(retry_after_s or 0.0, MAX_RETRY_AFTER_S))


def _retry_after(text: str) -> float | None:
    """Return the seconds of a Retry-After header; a date in it is not believed."""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 8 else None
