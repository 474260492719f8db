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

/** Only an incident read by itself carries its log and all its pictures. */
export type Incident = Schemas['IncidentOut'] & { log?: LogEntry[]; attachments?: Schemas['AttachmentOut'][] }
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

/* Trust: docs/design/trust.md. */

export type AccountBrief = Schemas['AccountBrief']
/** A consent of a household: to one person (share), or to whoever answers its alarms (alarm). */
export type Grant = Schemas['GrantOut']
export type GrantRequest = Schemas['GrantCreate']
export type Member = Schemas['MemberOut']
export type Household = Schemas['HouseholdOut']
export type Home = Schemas['HomeOut']
export type HomeCamera = Schemas['CameraBrief']
export type PurposeOption = Schemas['PurposeOut']
export type LedgerEntry = Schemas['LedgerEntryOut']
export type LedgerHead = Schemas['LedgerHeadOut']
export type Verification = Schemas['VerificationOut']
/** What a camera says of its place, for the law and for the people there. */
export type PlaceFacts = Pick<
  Camera,
  | 'household_id'
  | 'place_type'
  | 'purpose'
  | 'owner'
  | 'contact'
  | 'retention_hours'
  | 'retention_reason'
  | 'signage'
  | 'residents_may_watch'
>
export interface Viewing {
  id: string
  camera_id: string
  camera_name: string
  place_kind: PlaceKind
  who: { display_name: string; role: string }
  kind: string
  purpose: string
  reference: string
  grant_id: string | null
  redacted: boolean
  own: boolean
  started_at: string
  ended_at: string | null
  delayed: boolean
}
export interface Digest {
  month: string
  household: string
  cameras: { camera_id: string; name: string; viewings: number; seconds: number; by_role: Record<string, number>; by_purpose: Record<string, number> }[]
  exports: number
  grants: Grant[]
  still_sealed: number
}
export interface LawPlace {
  key: string
  title: string
  title_zh: string
  kinds: PlaceKind[]
  forbidden: boolean
  forbidden_by: string
  signage: boolean
  min_h: number | null
  default_h: number | null
  justify_above_h: number | null
  max_h: number | null
}
export interface LawRule {
  number: string
  text: string
  quote: string
  source: string
  remedy: string
}
export interface Law {
  name: string
  title: string
  note: string
  source: string
  rules: LawRule[]
  places: LawPlace[]
  place_needed: boolean
  seal_max_days: number
}
/** A part of a picture that nobody sees. */
export interface Mask {
  name: string
  polygon: Point[]
}
export interface TransparencyCamera {
  name: string
  area: string
  place_kind: PlaceKind
  place_type: string
  purpose: string
  owner: string
  contact: string
  retention_hours: number | null
  residents_may_watch: boolean
  masked: boolean
}
export interface TransparencyMonth {
  month: string
  viewings: number
  by_purpose: Record<string, number>
  exports: number
  refused_exports: number
}
export interface Transparency {
  site: string
  jurisdiction: string
  contact: string
  cameras: TransparencyCamera[]
  homes: number
  months: TransparencyMonth[]
}
export type Audience = 'authority' | 'publication' | 'subject'
export interface Export {
  id: string
  incident_id: string
  incident_number: string
  purpose: string
  reference: string
  reason: string
  audience: Audience
  state: 'requested' | 'approved' | 'building' | 'ready' | 'refused' | 'withdrawn' | 'expired' | 'failed'
  requested_by: AccountBrief
  requested_at: string
  decided_by: AccountBrief | null
  decided_at: string | null
  note: string
  expires_at: string | null
  pictures: number
  allowed: string[]
}
export interface ExportRequest {
  incident_id: string
  attachment_ids?: string[]
  purpose: string
  reference: string
  reason: string
  audience: Audience
  expires_in_days: number
}
export interface Seal {
  id: string
  incident_id: string
  number: string
  reason: string
  until: string
  requested_by: AccountBrief
  approved_by: AccountBrief | null
  state: 'requested' | 'sealed' | 'lifted' | 'expired'
}
export interface SealRequest {
  incident_id: string
  reason: string
  until: string
}
