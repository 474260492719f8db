"""Fixtures (media)."""
