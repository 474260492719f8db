"""Addresses of other systems that are told what changes, in order, signed, at least once."""
