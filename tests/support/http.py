"""Fixtures (http)."""
