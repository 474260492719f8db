"""Alembic migrations; run by `camera-hub serve` at start and by `camera-hub db upgrade`."""
