"""Deadlines as rows, so that no restart forgets one."""
