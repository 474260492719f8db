"""Neighbours and relatives whom a household has bound, and who have agreed to be told."""
