"""Live view: fMP4 remuxed once per camera and fanned out to viewers, and snapshots."""
