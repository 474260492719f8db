import type { Incident, IncidentState, Severity } from '@/api/types'

export const severities = ['extreme', 'severe', 'moderate', 'unknown', 'minor'] as const satisfies Severity[]
const over: ReadonlySet<IncidentState> = new Set(['closed', 'archived', 'merged', 'rejected'])

export function isOpen(incident: Pick<Incident, 'state'>): boolean {
  return !over.has(incident.state)
}

/** Order of the queue: most severe first, then newest. */
export function byUrgency(a: Incident, b: Incident): number {
  const rank = severities.indexOf(a.severity) - severities.indexOf(b.severity)
  return rank || byNewest(a, b)
}

export function byNewest(a: Incident, b: Incident): number {
  return Date.parse(b.opened_at) - Date.parse(a.opened_at) || (a.id < b.id ? 1 : -1)
}

/**
 * The newer of two copies of one incident. Events and answers overtake each
 * other; the version decides, then the newest signal.
 */
export function newer(known: Incident | undefined, arrived: Incident): Incident {
  if (!known) return arrived
  const stale =
    arrived.version < known.version ||
    (arrived.version === known.version &&
      Date.parse(arrived.last_signal_at ?? '') < Date.parse(known.last_signal_at ?? ''))
  if (stale) return known
  // Lists and events carry no log: keep the one that is known until it is read again.
  return arrived.log ? arrived : { ...arrived, log: known.log }
}

/** Whether a person must still say "I have seen it". */
export function isWaiting(incident: Incident): boolean {
  return isOpen(incident) && incident.acknowledged_at === null
}

/** Whether the alarm sounds again and again until somebody acknowledges. */
export function ringsOn(incident: Incident): boolean {
  return isWaiting(incident) && (incident.severity === 'extreme' || incident.severity === 'severe')
}

/** What must sound now, given how often each incident had called before; records the calls. */
export function newCalls(open: readonly Incident[], calls: Map<string, number>): Incident[] {
  const fresh = open.filter(
    (incident) => isWaiting(incident) && (calls.get(incident.id) ?? -1) < incident.escalations,
  )
  calls.clear()
  for (const incident of open) calls.set(incident.id, incident.escalations)
  return fresh
}
