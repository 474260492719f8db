/** The six steps of the closed loop: which are done, which one is waited for, and for what. */
import type { Incident, IncidentState, LogEntry } from '@/api/types'

export const STEPS = ['report', 'dispatch', 'handle', 'feedback', 'close', 'archive'] as const
export type StepName = (typeof STEPS)[number]
export type StepState = 'done' | 'now' | 'later' | 'skipped'

export interface StepLine {
  name: StepName
  state: StepState
  /** When it was done and by whom, as far as the history says so. */
  at: string | null
  by: string
}

/** What an incident in its present state waits for; texts are below `step.waits`. */
export type Waiting =
  | 'acknowledge'
  | 'dispatch'
  | 'start'
  | 'going'
  | 'feedback'
  | 'resume'
  | 'verify'
  | 'archive'
  | 'archived'
  | 'merged'
  | 'rejected'

const waits: Record<IncidentState, Waiting> = {
  reported: 'dispatch',
  triaged: 'dispatch',
  dispatched: 'start',
  handling: 'going',
  suspended: 'resume',
  feedback: 'verify',
  closed: 'archive',
  archived: 'archived',
  merged: 'merged',
  rejected: 'rejected',
}

export function waitingFor(incident: Pick<Incident, 'state' | 'acknowledged_at' | 'progress'>): Waiting {
  if (incident.state === 'reported' && incident.acknowledged_at === null) return 'acknowledge'
  if (incident.state === 'handling' && incident.progress === 'done') return 'feedback'
  return waits[incident.state]
}

const stepOf: Record<Waiting, number> = {
  acknowledge: 0,
  dispatch: 1,
  start: 2,
  going: 2,
  resume: 2,
  feedback: 3,
  verify: 4,
  archive: 5,
  archived: 6,
  merged: 6,
  rejected: 6,
}

/** The state that each step leads to, as the history writes it. */
const reached: Record<StepName, IncidentState[]> = {
  report: ['reported'],
  dispatch: ['dispatched'],
  handle: ['handling'],
  feedback: ['feedback'],
  close: ['closed'],
  archive: ['archived'],
}

function lastTo(log: readonly LogEntry[], states: readonly IncidentState[]): LogEntry | undefined {
  return log.findLast((entry) => entry.to_state !== null && (states as string[]).includes(entry.to_state))
}

/** The six steps of `incident`; with its log each says when it was done and by whom. */
export function stepLines(incident: Incident): StepLine[] {
  const log = incident.log ?? []
  const now = stepOf[waitingFor(incident)]
  const ended = incident.state === 'merged' || incident.state === 'rejected'
  return STEPS.map((name, index) => {
    const entry = lastTo(log, reached[name])
    const at = name === 'report' ? incident.opened_at : (entry?.at ?? null)
    const by = entry && 'display_name' in entry.actor ? entry.actor.display_name : ''
    if (index === now) return { name, state: 'now', at: null, by: '' }
    if (index > now) return { name, state: 'later', at: null, by: '' }
    // Without a log nothing says what was left out; with one, a step that nobody took was.
    const left = name !== 'report' && entry === undefined && (ended || log.length > 0)
    return { name, state: left ? 'skipped' : 'done', at: left ? null : at, by: left ? '' : by }
  })
}

/** `h:mm:ss` of the time to or since `iso` at `now` (milliseconds); days are told apart. */
export function countdown(iso: string, now: number): { late: boolean; days: number; clock: string } {
  const left = Date.parse(iso) - now
  const seconds = Math.floor(Math.abs(left) / 1000)
  const days = Math.floor(seconds / 86_400)
  const rest = seconds % 86_400
  const pad = (value: number): string => String(value).padStart(2, '0')
  const hours = Math.floor(rest / 3600)
  const minutes = Math.floor((rest % 3600) / 60)
  const clock = hours > 0 || days > 0 ? `${hours}:${pad(minutes)}:${pad(rest % 60)}` : `${minutes}:${pad(rest % 60)}`
  return { late: left < 0, days, clock }
}
