"""Rules: from followed objects to events in zones, and from events to signals."""
