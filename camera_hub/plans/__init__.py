"""Drawings of the place, floors and grounds, on which cameras stand."""
