"""Work for people: signals, incidents, timers, outbox."""
