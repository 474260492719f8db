"""The way of a signal to the hub: durable on disk first, then posted until it is answered."""
