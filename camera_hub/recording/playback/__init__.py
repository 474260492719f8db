"""Playback of recordings: who plays what back, masks painted where there are any, thumbnails."""
