"""Privacy masks, and pictures in which nobody can be known: pieces that compose."""
