"""Fixtures (stores)."""
