import type { Incident, IncidentState, Severity } from '@/api/types'

export const severities = ['extreme', 'severe', 'moderate', 'unknown', 'minor'] as const satisfies Severity[]
const over: ReadonlySet<IncidentState> = new Set(['closed', 'archived', 'merged', 'rejected'])

export function isOpen(incident: Pick<Incident, 'state'>): boolean {
  return !over.has(incident.state)
}

/** Whether somebody pressed for help: what comes before everything else, and looks it. */
export function isAlarm(incident: Pick<Incident, 'kind'>): boolean {
  return incident.kind.startsWith('alarm_')
}

/** Order of the queue: alarms of residents, then most severe, then newest; drills behind, suspended ones last. */
export function byUrgency(a: Incident, b: Incident): number {
  return rankOf(a) - rankOf(b) || byNewest(a, b)
}

function rankOf(incident: Incident): number {
  const severity = severities.indexOf(incident.severity)
  if (incident.state === 'suspended') return 300 + severity
  if (incident.status !== 'actual') return 200 + severity
  return isAlarm(incident) ? severity : 100 + severity
}

/** Reading times is what sorting ten thousand incidents would spend its time on. */
const openedAt = new WeakMap<Incident, number>()
function opened(incident: Incident): number {
  const known = openedAt.get(incident)
  if (known !== undefined) return known
  const read = Date.parse(incident.opened_at)
  openedAt.set(incident, read)
  return read
}

export function byNewest(a: Incident, b: Incident): number {
  return opened(b) - opened(a) || (a.id < b.id ? 1 : -1)
}

/** Open incidents that `incident` may be merged into: of the same place, the nearest in time first. */
export function mergeable(incident: Incident, open: readonly Incident[]): Incident[] {
  const near = (other: Incident): boolean =>
    other.area === incident.area || other.area.startsWith(`${incident.area}/`) || incident.area.startsWith(`${other.area}/`)
  // The hub refuses it, too: two households in trouble are two incidents.
  const homes = (other: Incident): boolean =>
    isAlarm(incident) && isAlarm(other) && incident.household_id !== other.household_id
  return open
    .filter((other) => other.id !== incident.id && other.status === incident.status && near(other) && !homes(other))
    .sort((a, b) => Math.abs(opened(a) - opened(incident)) - Math.abs(opened(b) - opened(incident)))
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
  // Lists and events carry no log, pictures or policy: those that are known stay until they are read again.
  if (arrived.log) return arrived
  return { ...arrived, log: known.log, attachments: known.attachments, policy: known.policy, ring_from: known.ring_from, merged: known.merged }
}

/** Whether a person must still say "I have seen it". */
export function isWaiting(incident: Incident): boolean {
  return isOpen(incident) && incident.acknowledged_at === null
}

/** Whether the alarm sounds again and again until somebody acknowledges. */
export function ringsOn(incident: Incident): boolean {
  const grave = incident.severity === 'extreme' || incident.severity === 'severe'
  return isWaiting(incident) && incident.status !== 'test' && grave
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
