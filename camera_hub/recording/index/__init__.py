"""The index of recordings in the database: what there is, how long it stays, what is locked."""
