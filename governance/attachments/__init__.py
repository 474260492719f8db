"""Pictures of incidents, on disk by their SHA-256."""
