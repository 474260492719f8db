"""What tests of the program share."""

from collections.abc import Iterator

import pytest

from app.cli.context import state


@pytest.fixture(autouse=True)
def no_options_of_before() -> Iterator[None]:
    """A command that ran inside of a test leaves its `--data-dir` to no other test."""
    before = state.config, state.data_dir
    yield
    state.config, state.data_dir = before
