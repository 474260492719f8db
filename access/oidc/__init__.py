"""Signing in through the organisation's own identity provider (OpenID Connect)."""
