"""The gate: decides from a small grey picture whether looking closer is worth it."""
