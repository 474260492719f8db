"""Zones: polygons in a camera's picture, with the rules and hours that hold inside them."""
