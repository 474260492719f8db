"""Sessions of signed-in accounts, kept at the server so that they can be ended."""
