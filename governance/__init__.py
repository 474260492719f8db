"""Work for people: signals, incidents, their timers, their pictures, and the outbox."""
