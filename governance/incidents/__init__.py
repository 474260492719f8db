"""The work: a state machine with guards, a version and a history."""
