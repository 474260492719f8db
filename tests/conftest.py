"""Shared fixtures. Each support module starts the real thing it stands for."""

pytest_plugins = ["tests.support.stores", "tests.support.media", "tests.support.http"]
