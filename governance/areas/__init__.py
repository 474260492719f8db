"""Areas as a tree, and the departments that work in them."""
