/** What a service token may be given; the hub's list is `SCOPES` in `access/policy/actions.py`. */
export const scopes = [
  'signal.post',
  'event.stream',
  'incident.list',
  'incident.read',
  'camera.list',
  'camera.read',
  'system.read',
  'metrics.read',
  'worker.heartbeat',
] as const
