"""What arrived: immutable, idempotent on (source, id)."""
