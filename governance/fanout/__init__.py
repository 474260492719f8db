"""What happens here, for other systems: CloudEvents in a Redis stream and through webhooks."""
