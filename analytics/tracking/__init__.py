"""Tracking within one camera's view: which box of now is which box of before."""
