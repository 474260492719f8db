"""Seals: while a second person agrees, who looked into one incident is told to residents later."""
