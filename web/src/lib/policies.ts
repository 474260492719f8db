/** Dispatch policies as the hub has them (docs/design/dispatch.md), and what the form does to them. */
import type { ScheduleEntry, Severity } from '@/api/types'

export interface PolicyStep {
  after_s: number
  targets: string[]
  channels: string[]
  whistle: boolean
}

export interface PolicyMatch {
  kinds: string[]
  severities: Severity[]
  statuses: string[]
  areas: string[]
  times: ScheduleEntry[]
}

export const limitNames = [
  'triage_s',
  'dispatch_s',
  'handle_s',
  'feedback_s',
  'close_s',
  'archive_s',
  'suspend_max_s',
  'reopen_s',
] as const
export type LimitName = (typeof limitNames)[number]

export interface Policy {
  id: string
  name: string
  match: PolicyMatch
  triage: 'skip' | 'required'
  steps: PolicyStep[]
  repeat_s: number
  progress_s: number
  limits: Record<LimitName, number>
  verifier: 'anyone' | 'other'
  result_photos: number
}

/** Kinds that a policy can be for; `other` are those that no detector and no button knows. */
export const policyKinds = [
  'alarm_fire',
  'alarm_medical',
  'alarm_security',
  'person_down',
  'intrusion',
  'camera_offline',
  'camera_tampered',
  'camera_input',
  'camera_frozen',
  'camera_black',
  'camera_overexposed',
  'camera_covered',
  'camera_blurred',
  'camera_moved',
  'camera_clock',
  'camera_low_rate',
  'camera_not_recording',
  'camera_not_analysed',
  'disk_failed',
  'storage_full',
  'storage_full_soon',
  'footage_lost',
  'device_silent',
  'machine_clock',
  'process_failed',
  'spool_trouble',
  'other',
] as const
export const policySeverities = ['extreme', 'severe', 'moderate', 'minor', 'unknown'] as const satisfies Severity[]
export const policyChannels = ['push', 'sms', 'voice', 'email', 'wecom', 'dingtalk', 'feishu'] as const
/** People by role, who also stand on the levels above. */
export const standingTargets = ['duty', 'patrol', 'supervisor', 'department'] as const
export const otherTargets = ['contacts', 'assignee', 'handler', 'acknowledger'] as const

const usual: Record<LimitName, number> = {
  triage_s: 900,
  dispatch_s: 1800,
  handle_s: 3600,
  feedback_s: 14_400,
  close_s: 86_400,
  archive_s: 30 * 86_400,
  suspend_max_s: 7 * 86_400,
  reopen_s: 7 * 86_400,
}

/** A step `after` seconds from the beginning, for the duty staff. */
export const newStep = (after: number): PolicyStep => ({ after_s: after, targets: ['duty'], channels: ['push'], whistle: false })

/** The policy that `part` is of, with the usual values where it says nothing. */
export function wholePolicy(part: Partial<Policy> & { id: string }): Policy {
  return {
    name: '',
    triage: 'skip',
    repeat_s: 900,
    progress_s: 0,
    verifier: 'anyone',
    result_photos: 0,
    ...part,
    match: { kinds: [], severities: [], statuses: [], areas: [], times: [], ...part.match },
    steps: (part.steps ?? [newStep(0)]).map((step) => ({ ...newStep(step.after_s), ...step })),
    limits: { ...usual, ...part.limits },
  }
}

export interface Target {
  word: string
  above: number
  room: string
}

/** `supervisor+2` is the supervisor two levels above, `room:Night` the chat room "Night". */
export function readTarget(target: string): Target {
  if (target.startsWith('room:')) return { word: 'room', above: 0, room: target.slice('room:'.length) }
  const [word = '', above = '0'] = target.split('+')
  return { word, above: Number(above), room: '' }
}

export function writeTarget({ word, above, room }: Target): string {
  if (word === 'room') return `room:${room.trim()}`
  return above > 0 ? `${word}+${above}` : word
}

/** The same people on several levels as one: of `duty`, `duty+1` and `duty+2` the last says all. */
export function merged(targets: readonly string[]): (Target & { from: number })[] {
  const found: (Target & { from: number })[] = []
  for (const target of targets.map(readTarget)) {
    const before = found.find((item) => item.word === target.word && item.room === target.room && item.above === target.above - 1)
    if (before && target.word !== 'room') before.above = target.above
    else found.push({ ...target, from: target.above })
  }
  return found
}

const units = [
  { unit: 'day', seconds: 86_400 },
  { unit: 'hour', seconds: 3600 },
  { unit: 'minute', seconds: 60 },
  { unit: 'second', seconds: 1 },
] as const
export type SpanUnit = (typeof units)[number]['unit']
export const secondsIn = (unit: SpanUnit): number => units.find((item) => item.unit === unit)?.seconds ?? 1

/** The largest unit in which `seconds` is a whole number. */
export function unitFor(seconds: number): SpanUnit {
  return units.find((item) => seconds >= item.seconds && seconds % item.seconds === 0)?.unit ?? 'second'
}

/** "30 seconds", "2 hours", "2 minutes 30 seconds". */
export function spanText(seconds: number, locale: string): string {
  const unit = unitFor(seconds)
  const rest = seconds % 60
  if (unit === 'second' && seconds > 120 && rest > 0) return [seconds - rest, rest].map((part) => spanText(part, locale)).join(' ')
  return new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'long' }).format(seconds / secondsIn(unit))
}

/** What stands after "every": "minute", "30 seconds"; languages without plurals say the number. */
export function everyText(seconds: number, locale: string): string {
  const text = spanText(seconds, locale)
  return locale.startsWith('en') ? text.replace(/^1 /, '') : text
}

/** Where a policy of the list may go: `by` -1 is towards the top. */
export function moved<T>(list: readonly T[], index: number, by: 1 | -1): T[] {
  const to = index + by
  const item = list[index]
  if (item === undefined || to < 0 || to >= list.length) return [...list]
  return list.toSpliced(index, 1).toSpliced(to, 0, item)
}

/** An id out of a name, that none of `taken` has: a word in Latin letters. */
export function idFor(name: string, taken: readonly string[]): string {
  const word = name.toLowerCase().normalize('NFKD').replaceAll(/[^a-z0-9]+/g, '-').replaceAll(/^[^a-z]+|-+$/g, '').slice(0, 30)
  const base = word || 'policy'
  for (let n = 1; ; n += 1) {
    const id = n === 1 ? base : `${base}-${n}`
    if (!taken.includes(id)) return id
  }
}
