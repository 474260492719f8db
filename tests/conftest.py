"""Shared fixtures. Each support module starts the real thing it stands for."""

from collections.abc import Iterator

import pytest

from app.cli.context import state
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


@pytest.fixture(autouse=True)
def no_options_of_before() -> Iterator[None]:
    """A command that ran inside of a test leaves its `--data-dir` and its log to no other test."""
    before = state.config, state.data_dir
    yield
    if before != (state.config, state.data_dir):
        state.config, state.data_dir = before
        configure_logging("error")
