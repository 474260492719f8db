/** What a webhook can hear of, as the hub names it. None chosen: all. */
export const eventTypes = ['incident.opened', 'incident.updated', 'incident.escalated', 'camera.state', 'camera.changed'] as const
