/** What goes over the wire, as docs/design/api.md describes it. Times are ISO 8601 in UTC. */

export interface Page<T> {
  items: T[]
  next_cursor: string | null
}

export type Role =
  | 'resident'
  | 'duty_staff'
  | 'patrol'
  | 'department'
  | 'operator'
  | 'supervisor'
  | 'auditor'
  | 'administrator'
  | 'service'

export interface RoleBinding {
  role: Role
  area: string
}

export interface Account {
  id: string
  username: string
  display_name: string
  roles: RoleBinding[]
  locale: string
  active: boolean
  created_at: string
}

export type SessionAccount = Omit<Account, 'active' | 'created_at'>

export interface Session {
  account: SessionAccount
  csrf_token: string
  actions: string[]
  expires_at: string
}

export type CameraState =
  | 'connecting'
  | 'online'
  | 'stalled'
  | 'unauthorised'
  | 'not_found'
  | 'unsupported'
  | 'disabled'

export interface CameraStatus {
  state: CameraState
  reason_code: string
  reason: string
  since: string | null
  fps: number
  bitrate_kbps: number
  width: number
  height: number
  codec: string
  last_frame_at: string | null
  frames_read: number
  frames_analysed: number
  frames_dropped: number
}

export interface Stream {
  role: 'main' | 'sub'
  url: string
  codec: string
  width: number
  height: number
  fps: number
}

export interface Device {
  manufacturer: string
  model: string
  firmware: string
  serial: string
  clock_offset_s: number | null
}

export type PlaceKind = 'public_space' | 'shared_space' | 'home'
export type SourceKind = 'onvif' | 'rtsp'

export interface Camera {
  id: string
  name: string
  area: string
  place_kind: PlaceKind
  source_kind: SourceKind
  address: string
  username: string
  has_password: boolean
  enabled: boolean
  analyse: boolean
  version: number
  created_at: string
  device: Device | null
  streams: Stream[]
  status: CameraStatus
}

export interface ProbeProfile {
  token: string
  name: string
  codec: string
  width: number
  height: number
  fps: number
  bitrate_kbps: number
  gop: number
  stream_url: string
  snapshot_url: string
}

export interface Probe {
  device: Device | null
  clock_offset_s: number | null
  profiles: ProbeProfile[]
  main: string | null
  sub: string | null
  warnings: { code: string; message: string }[]
}

export interface ProbeRequest {
  source_kind: SourceKind
  address: string
  username: string
  password: string
}

export interface CameraCreate extends ProbeRequest {
  name: string
  area: string
  place_kind: PlaceKind
  main_profile?: string
  sub_profile?: string
  analyse: boolean
}

export interface CameraUpdate {
  name?: string
  area?: string
  address?: string
  username?: string
  password?: string
  enabled?: boolean
  analyse?: boolean
  version: number
}

export type Severity = 'extreme' | 'severe' | 'moderate' | 'minor' | 'unknown'
export type Weekday = 'mon' | 'tue' | 'wed' | 'thu' | 'fri' | 'sat' | 'sun'

export interface ScheduleEntry {
  days: Weekday[]
  from: string
  to: string
}

export interface Rule {
  kind: 'intrusion' | 'person_down'
  enabled: boolean
  severity: Exclude<Severity, 'unknown'>
  objects: string[]
  dwell_seconds: number
  confidence: number
  schedule: ScheduleEntry[]
  cooldown_seconds: number
}

export type Point = [number, number]

export interface Zone {
  id?: string
  name: string
  polygon: Point[]
  rules: Rule[]
}

export interface ZoneSet {
  version: number
  zones: Zone[]
}

/** `box` is relative: left, top, right, bottom in 0..1. */
export interface DetectedObject {
  label: string
  confidence: number
  box: [number, number, number, number]
}

export type IncidentState =
  | 'reported'
  | 'triaged'
  | 'dispatched'
  | 'handling'
  | 'suspended'
  | 'feedback'
  | 'closed'
  | 'archived'
  | 'merged'
  | 'rejected'

export interface Person {
  id: string
  display_name: string
}

export interface Snapshot {
  id: string
  url: string
  width: number
  height: number
  objects: DetectedObject[]
}

export interface LogEntry {
  id: string
  at: string
  actor: Person | { kind: string }
  action: string
  from_state: IncidentState | null
  to_state: IncidentState | null
  note: string | null
  data: Record<string, unknown> | null
}

export type IncidentAction = 'acknowledge' | 'handle' | 'feedback' | 'close' | 'note'
export type Resolution = 'handled' | 'false_alarm'

export interface Incident {
  id: string
  number: number | string
  kind: string
  category: string
  severity: Severity
  status: 'actual' | 'exercise' | 'test'
  state: IncidentState
  version: number
  headline: string
  area: string
  camera_id: string | null
  camera_name: string | null
  zone_name: string | null
  opened_at: string
  observed_at: string | null
  last_signal_at: string | null
  signal_count: number
  acknowledged_at: string | null
  acknowledged_by: Person | null
  handler: Person | null
  closed_at: string | null
  resolution: Resolution | 'recovered' | null
  overdue: boolean
  next_due_at: string | null
  escalations: number
  snapshot: Snapshot | null
  allowed: IncidentAction[]
  log?: LogEntry[]
}

export interface Signal {
  id: string
  received_at: string
  data?: { model?: { name: string; version: string; backend: string }; confidence?: number }
}

export interface ViewRecord {
  id: string
  account: Person & { username: string }
  camera_id: string | null
  camera_name: string | null
  kind: 'live' | 'snapshot' | 'incident_image'
  purpose: string | null
  incident_id: string | null
  started_at: string
  ended_at: string | null
}
