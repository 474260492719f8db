"""Telling people: one row per recipient, channel and attempt, sent after the commit."""
