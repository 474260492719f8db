"""Bytes: devices, streams, live view, simulator."""
