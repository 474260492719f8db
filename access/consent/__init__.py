"""Consent: what a household has agreed to, and what is open because of it at this moment."""
