import type { Rule, Weekday, Zone } from '@/api/types'
import { polygonFault } from './polygon'

export const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const satisfies Weekday[]
export const ruleKinds = ['intrusion', 'person_down'] as const satisfies Rule['kind'][]
export const ruleSeverities = ['extreme', 'severe', 'moderate', 'minor'] as const satisfies Rule['severity'][]
export const objectKinds = ['person', 'bicycle', 'car', 'motorcycle', 'bus', 'truck', 'dog'] as const

export function newRule(kind: Rule['kind']): Rule {
  return {
    kind,
    enabled: true,
    severity: kind === 'intrusion' ? 'severe' : 'extreme',
    objects: ['person'],
    dwell_seconds: kind === 'intrusion' ? 1 : 3,
    confidence: 0.4,
    schedule: [],
    cooldown_seconds: 30,
  }
}

/** A square in the middle, to be drawn into shape. */
export function newZone(name: string): Zone {
  return {
    name,
    polygon: [
      [0.35, 0.35],
      [0.65, 0.35],
      [0.65, 0.75],
      [0.35, 0.75],
    ],
    rules: [newRule('intrusion')],
  }
}

export type ZoneFault = 'name' | 'few' | 'many' | 'crossing' | 'flat' | 'objects' | 'days' | 'hours'

/** What keeps `zone` from being saved; null when nothing does. */
export function zoneFault(zone: Zone): ZoneFault | null {
  if (zone.name.trim() === '') return 'name'
  const shape = polygonFault(zone.polygon)
  if (shape) return shape
  for (const rule of zone.rules) {
    if (rule.kind === 'intrusion' && rule.objects.length === 0) return 'objects'
    for (const entry of rule.schedule) {
      if (entry.days.length === 0) return 'days'
      if (!entry.from || !entry.to || entry.from === entry.to) return 'hours'
    }
  }
  return null
}
