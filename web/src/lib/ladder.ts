/** The ring ladder of an incident: which step of its policy rang when, and what comes next. */
import type { Incident, LogEntry, PolicySnapshot } from '@/api/types'

export interface Rung {
  index: number
  afterSeconds: number
  targets: string[]
  channels: string[]
  whistle: boolean
  /** When it rang, in this round; null while it has not. */
  rangAt: string | null
  /** Who was rung, as the history says: some names, and how many more. */
  told: string[]
  more: number
  /** When it will ring if nobody acknowledges; null where it has rung or nothing waits. */
  dueAt: string | null
}

function sinceRound(log: readonly LogEntry[], from: string | null): LogEntry[] {
  const start = from === null ? -Infinity : Date.parse(from) - 1000
  return log.filter((entry) => entry.action === 'rang' && Date.parse(entry.at) >= start)
}

/** Names out of what the history keeps of a ring: a list of `{name, kind}`. */
export function toldNames(entry: LogEntry | undefined): { names: string[]; more: number } {
  const told = entry?.data.told
  const names = Array.isArray(told) ? told.map((one: { name?: unknown }) => String(one.name ?? '')).filter(Boolean) : []
  return { names, more: Number(entry?.data.more ?? 0) || 0 }
}

/** The rungs of `incident` as it was read by itself, with policy and log; none without a policy. */
export function rungs(incident: Incident): Rung[] {
  const steps = (incident.policy as PolicySnapshot | undefined)?.steps ?? []
  const from = incident.ring_from ?? incident.opened_at
  const rang = sinceRound(incident.log ?? [], from)
  const rings = incident.acknowledged_at === null && incident.closed_at === null
  return steps.map((step, index) => {
    const entry = rang.find(({ data }) => data.step === index)
    const { names, more } = toldNames(entry)
    const due = new Date(Date.parse(from) + step.after_s * 1000).toISOString()
    return {
      index,
      afterSeconds: step.after_s,
      targets: step.targets,
      channels: step.channels,
      whistle: step.whistle,
      rangAt: entry?.at ?? null,
      told: names,
      more,
      dueAt: rings && !entry ? due : null,
    }
  })
}
