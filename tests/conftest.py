"""Shared fixtures. Each support module starts the real thing it stands for."""

from core.logging import configure_logging

pytest_plugins = [
    "tests.support.examples",
    "tests.support.stores",
    "tests.support.media",
    "tests.support.http",
    "tests.support.live",
    "tests.support.receiver",
    "tests.support.redis",
    "tests.support.broker",
]

# Without this structlog would draw rich tracebacks with local variables: slow, and they may hold
# passwords.
configure_logging("error")
