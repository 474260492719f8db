"""Processes and the command line: what composes the floors below into running programs."""
