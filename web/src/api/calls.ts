/** Every call the console makes, by name. */
import { call } from './client'
import type {
  Account,
  Camera,
  CameraCreate,
  CameraUpdate,
  Incident,
  Page,
  Probe,
  ProbeRequest,
  Resolution,
  RoleBinding,
  Session,
  Signal,
  ViewRecord,
  Zone,
  ZoneSet,
} from './types'

export const sessions = {
  create: (username: string, password: string) =>
    call<Session>('POST', '/sessions', { body: { username, password }, quiet: true }),
  current: () => call<Session>('GET', '/sessions/current', { quiet: true }),
  end: () => call<null>('DELETE', '/sessions/current', { quiet: true }),
}

export interface AccountFields {
  display_name: string
  roles: RoleBinding[]
  locale: string
}

export const accounts = {
  list: (cursor?: string) => call<Page<Account>>('GET', '/accounts', { query: { limit: 100, cursor } }),
  create: (body: AccountFields & { username: string; password: string }) =>
    call<Account>('POST', '/accounts', { body }),
  update: (id: string, body: Partial<AccountFields & { password: string; active: boolean }>) =>
    call<Account>('PATCH', `/accounts/${id}`, { body }),
}

export const cameras = {
  list: (cursor?: string) => call<Page<Camera>>('GET', '/cameras', { query: { limit: 200, cursor } }),
  get: (id: string) => call<Camera>('GET', `/cameras/${id}`),
  probe: (body: ProbeRequest) => call<Probe>('POST', '/cameras/probe', { body, timeoutMs: 45_000 }),
  create: (body: CameraCreate) => call<Camera>('POST', '/cameras', { body, timeoutMs: 45_000 }),
  update: (id: string, body: CameraUpdate) => call<Camera>('PATCH', `/cameras/${id}`, { body }),
  remove: (id: string) => call<null>('DELETE', `/cameras/${id}`),
  zones: (id: string) => call<ZoneSet>('GET', `/cameras/${id}/zones`),
  writeZones: (id: string, version: number, zones: Zone[]) =>
    call<ZoneSet>('PUT', `/cameras/${id}/zones`, { body: { version, zones } }),
  snapshotUrl: (id: string) => `/api/v1/cameras/${id}/snapshot`,
  liveUrl: (id: string, stream: 'main' | 'sub') => {
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws'
    return `${scheme}://${location.host}/api/v1/cameras/${id}/live?stream=${stream}`
  },
}

export interface IncidentQuery {
  state: 'open' | 'closed' | 'all'
  severity?: string
  camera_id?: string
  cursor?: string | null
  limit?: number
}

export const incidents = {
  list: (query: IncidentQuery) => call<Page<Incident>>('GET', '/incidents', { query: { limit: 50, ...query } }),
  get: (id: string) => call<Incident>('GET', `/incidents/${id}`),
  signals: (id: string) => call<Page<Signal>>('GET', `/incidents/${id}/signals`),
  acknowledge: (id: string, version: number) =>
    call<Incident>('POST', `/incidents/${id}/acknowledge`, { body: { version } }),
  handle: (id: string, version: number, note?: string) =>
    call<Incident>('POST', `/incidents/${id}/handle`, { body: { version, note } }),
  feedback: (id: string, version: number, note: string) =>
    call<Incident>('POST', `/incidents/${id}/feedback`, { body: { version, note } }),
  close: (id: string, version: number, note: string, resolution: Resolution) =>
    call<Incident>('POST', `/incidents/${id}/close`, { body: { version, note, resolution } }),
  note: (id: string, text: string) => call<Incident>('POST', `/incidents/${id}/notes`, { body: { text } }),
}

export const views = {
  list: (cursor?: string | null) =>
    call<Page<ViewRecord>>('GET', '/view-records', { query: { limit: 50, cursor } }),
}

export const health = () => call<unknown>('GET', '/health/live', { quiet: true, timeoutMs: 5_000 })
