/** The wire's shapes by short names, out of the hub's OpenAPI document. Times are ISO 8601 in UTC. */
import type { components } from './schema'

type Schemas = components['schemas']

export interface Page<T> {
  items: T[]
  next_cursor?: string | null
}

export type Session = Schemas['SessionOut']
export type Account = Schemas['AccountOut']
export type AccountCreate = Schemas['AccountCreate']
export type AccountUpdate = Schemas['AccountUpdate']
export type Role = Schemas['Role']
export type RoleBinding = Schemas['RoleOut']

export type Camera = Schemas['CameraOut']
export type CameraState = Schemas['StreamState']
export type CameraStatus = Schemas['StatusOut']
export type CameraCreate = Schemas['CameraCreate']
export type CameraUpdate = Schemas['CameraUpdate']
export type PlaceKind = Camera['place_kind']
export type SourceKind = Camera['source_kind']
export type Probe = Schemas['ProbeOut']
export type ProbeRequest = Schemas['ProbeRequest']

export type Rule = Schemas['Rule-Input']
export type ScheduleEntry = Schemas['ScheduleWindow-Input']
export type Weekday = ScheduleEntry['days'][number]
export type Zone = Schemas['ZoneIn']
export type ZoneSet = Schemas['ZonesOut']
export type Point = Zone['polygon'][number]

/** Only an incident read by itself carries its log. */
export type Incident = Schemas['IncidentOut'] & { log?: LogEntry[] }
export type IncidentState = Incident['state']
export type Severity = Incident['severity']
export type LogEntry = Schemas['LogEntryOut']
export type Snapshot = Schemas['PictureOut']
export type Resolution = Schemas['CloseRequest']['resolution']
export type IncidentAction = 'acknowledge' | 'handle' | 'feedback' | 'close' | 'note'

export type Token = Schemas['TokenOut']
export type TokenCreate = Schemas['TokenCreate']
export type TokenIssued = Schemas['TokenIssued']

export type System = Schemas['SystemOut']

export type ViewRecord = Schemas['ViewRecordOut']

/** What the console reads of a signal's data, which its sender shapes. */
export interface SignalFacts {
  model?: { name: string; version: string; backend: string }
  confidence?: number
}
