"""Pixels to observations to signals."""
