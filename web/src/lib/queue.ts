/** Filters of the queue: which incidents a person wants to see, here and in the hub's list alike. */
import type { Incident, IncidentState } from '@/api/types'
import { isAlarm } from './incidents'

export const WHOSE = ['anybody', 'mine', 'department'] as const
export type Whose = (typeof WHOSE)[number]

export const STATES = ['any', 'reported', 'triaged', 'dispatched', 'handling', 'suspended', 'feedback'] as const
export type AskedState = (typeof STATES)[number]

export const KINDS = ['any', 'alarms', 'intrusion', 'person_down', 'camera_offline', 'camera_tampered', 'camera_covered', 'device_silent', 'other'] as const
export type AskedKind = (typeof KINDS)[number]

export interface Filters {
  severity: string
  whose: Whose
  step: AskedState
  kind: AskedKind
}

export interface Self {
  id: string | undefined
  departments: ReadonlySet<string>
}

export function isOwn(incident: Incident, me: string | undefined): boolean {
  return me !== undefined && [incident.assignee?.id, incident.handler?.id, incident.acknowledged_by?.id].includes(me)
}

export function fits(incident: Incident, filters: Filters, self: Self): boolean {
  const { severity, whose, step, kind } = filters
  if (severity !== 'any' && incident.severity !== severity) return false
  if (step !== 'any' && incident.state !== (step as IncidentState)) return false
  if (kind === 'alarms' ? !isAlarm(incident) : kind !== 'any' && incident.kind !== kind) return false
  if (whose === 'mine') return isOwn(incident, self.id)
  if (whose === 'department') return incident.department ? self.departments.has(incident.department.id) : false
  return true
}

