"""Tokens of services: shown once, stored as a hash, limited by scopes and by time."""
