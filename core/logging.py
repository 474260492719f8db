"""Structured logs with credentials taken out.

Redaction works on keys (anything named like a secret) and on values (user
information in URLs, bearer tokens), because a traceback or a library's message
can carry a password under any key.
"""

import contextlib
import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

REDACTED = "[redacted]"

_SECRET_KEY = re.compile(
    r"passw|secret|token|authorization|cookie|credential|api_?key|private_?key|^key$", re.IGNORECASE
)
# Greedy up to the last '@' before the path: a password may itself contain '@' or ':'.
_URL_USERINFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/\s?#]*@", re.IGNORECASE)
_BEARER = re.compile(r"(?P<kind>\b(?:bearer|basic|digest)\s+)[\w.~+/=-]{8,}", re.IGNORECASE)
_HUB_TOKEN = re.compile(r"\bchub_[A-Za-z0-9_-]{16,}")


def redact_text(text: str) -> str:
    """Return `text` without URL user information, bearer tokens or service tokens."""
    text = _URL_USERINFO.sub(lambda m: f"{m['scheme']}{REDACTED}@", text)
    text = _BEARER.sub(lambda m: f"{m['kind']}{REDACTED}", text)
    return _HUB_TOKEN.sub(REDACTED, text)


def redact(value: Any) -> Any:
    """Return a copy of `value` (any nesting of mappings and sequences) without secrets."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, Mapping):
        return {
            k: REDACTED if isinstance(k, str) and _SECRET_KEY.search(k) else redact(v)
            for k, v in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact(v) for v in value]
    return value


def _redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return cast(EventDict, redact(event))


class _Stderr:
    """Standard error as it is now, for writers that live longer than one stream of that name.

    A log line that cannot be written is dropped: whoever read this process's standard error is
    gone, and a loop that must go on would otherwise die of reporting its own fault.
    """

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


class _RedactingFilter(logging.Filter):
    """Redacts what other libraries log through the standard library."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = redact_text(record.getMessage())
        record.args = ()
        if record.exc_info and not record.exc_text:
            record.exc_text = redact_text(logging.Formatter().formatException(record.exc_info))
        return True


def configure_logging(
    level: str = "info", fmt: Literal["console", "json"] = "console", process: str = ""
) -> None:
    """Send every log line of this process to stderr, redacted.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        fmt: `console` for a person, `json` for a collector.
        process: name of this process, put on every line.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    render: Processor = (
        structlog.processors.JSONRenderer()
        if fmt == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            _redact_event,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(file=cast(TextIO, _Stderr())),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(**({"process": process} if process else {}))
    handler = logging.StreamHandler(_Stderr())
    handler.addFilter(_RedactingFilter())
    handler.setFormatter(logging.Formatter("%(asctime)s [%(levelname)s] %(name)s %(message)s"))
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return a logger whose lines carry `name` under `logger_name`."""
    return cast(structlog.typing.FilteringBoundLogger, structlog.get_logger(logger_name=name))
