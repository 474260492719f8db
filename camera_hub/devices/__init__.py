"""Cameras: what they are, how they are reached, who reads them, and how they are."""
