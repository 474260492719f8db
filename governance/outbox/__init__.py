"""What the world must still be told, in commit order."""
