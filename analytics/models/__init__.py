"""The detection models of this node: where they lie, how to get them and make them faster."""
