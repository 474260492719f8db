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

/** The dispatch policy as it was when the incident opened; `{}` of one older than policies. */
export interface PolicySnapshot {
  id?: string
  version?: number
  steps?: { after_s: number; targets: string[]; channels: string[]; whistle: boolean }[]
  repeat_s?: number
}

/** Only an incident read by itself carries its log, its pictures, what was merged into it, and its policy. */
export type Incident = Schemas['IncidentOut'] & Partial<Pick<Schemas['IncidentDetailOut'], 'log' | 'attachments' | 'merged' | 'policy' | 'ring_from'>>
export type IncidentState = Incident['state']
export type Severity = Incident['severity']
export type LogEntry = Schemas['LogEntryOut']
export type Snapshot = Schemas['PictureOut']
export type Resolution = Schemas['CloseRequest']['resolution']

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
export type Viewing = Schemas['ViewingOut']
export type Digest = Schemas['DigestOut']
export type Seal = Schemas['SealOut']
export type SealRequest = Schemas['SealCreate']
export type Law = Schemas['LawOut']
export type LawPlace = Schemas['PlaceOut']
export type LawRule = Schemas['RuleOut']
/** A part of a picture that nobody sees. */
export type Mask = Schemas['Mask']
export type Transparency = Schemas['TransparencyOut']
export type TransparencyCamera = Schemas['PublicCamera']
export type TransparencyMonth = Schemas['PublicMonth']
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
  | 'sound'
  | 'sound_reason'
>
export type Export = Schemas['ExportOut']
export type ExportRequest = Schemas['ExportCreate']
export type Audience = Export['audience']
export type Preview = Schemas['PreviewOut']
