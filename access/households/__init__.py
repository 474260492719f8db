"""Households: who lives together, and so decides together about the home's cameras."""
