"""When a loop was last well, as a row: a proof that the store still takes writes."""
