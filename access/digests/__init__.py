"""What a household was told of a month, kept as it was told."""
