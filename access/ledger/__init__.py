"""The ledger: who looked and who changed a right, hash-chained and signed, append-only."""
