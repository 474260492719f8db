/** Every call the console makes, by name. */
import { client, patience, result } from './client'
import type { AccountCreate, AccountUpdate, CameraCreate, CameraUpdate, Incident, IncidentState, ProbeRequest, Resolution, Severity, TokenCreate, Zone, ZoneSet } from './types'

/** A probe waits for the camera, which may take its time. */
const PROBE_MS = 60_000
const HEALTH_MS = 5_000

export const sessions = {
  current: () => result(client.GET('/api/v1/sessions/current', { signal: patience() }), true),
  end: () => result(client.DELETE('/api/v1/sessions/current', { signal: patience() }), true),
}

export const accounts = {
  list: (cursor?: string | null) =>
    result(client.GET('/api/v1/accounts', { params: { query: { limit: 100, cursor } }, signal: patience() })),
  create: (body: AccountCreate) => result(client.POST('/api/v1/accounts', { body, signal: patience() })),
  update: (account_id: string, body: AccountUpdate) =>
    result(client.PATCH('/api/v1/accounts/{account_id}', { params: { path: { account_id } }, body, signal: patience() })),
}

export const cameras = {
  list: (cursor?: string | null) =>
    result(client.GET('/api/v1/cameras', { params: { query: { limit: 200, cursor } }, signal: patience() })),
  get: (camera_id: string) =>
    result(client.GET('/api/v1/cameras/{camera_id}', { params: { path: { camera_id } }, signal: patience() })),
  probe: (body: ProbeRequest) => result(client.POST('/api/v1/cameras/probe', { body, signal: patience(PROBE_MS) })),
  create: (body: CameraCreate) => result(client.POST('/api/v1/cameras', { body, signal: patience(PROBE_MS) })),
  update: (camera_id: string, body: CameraUpdate) =>
    result(
      client.PATCH('/api/v1/cameras/{camera_id}', { params: { path: { camera_id } }, body, signal: patience(PROBE_MS) }),
    ),
  remove: (camera_id: string) =>
    result(client.DELETE('/api/v1/cameras/{camera_id}', { params: { path: { camera_id } }, signal: patience() })),
  // openapi-fetch makes number[] of the pairs in a polygon, hence the casts.
  zones: (camera_id: string) =>
    result(
      client.GET('/api/v1/cameras/{camera_id}/zones', { params: { path: { camera_id } }, signal: patience() }),
    ) as Promise<ZoneSet>,
  writeZones: (camera_id: string, version: number, zones: Zone[]) =>
    result(
      client.PUT('/api/v1/cameras/{camera_id}/zones', {
        params: { path: { camera_id } },
        body: { version, zones },
        signal: patience(),
      }),
    ) as Promise<ZoneSet>,
  /** A picture to draw on; what is drawn stands as the reference in the records. */
  boardUrl: (id: string, drawn: 'zones' | 'masks') =>
    `/api/v1/cameras/${id}/snapshot?purpose=maintenance&reference=${drawn}`,
  /** `heard`: with its sound, and why; empty in one's own home. */
  liveUrl: (id: string, stream: 'main' | 'sub', heard?: { purpose: string; reference: string } | null) => {
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws'
    const query = new URLSearchParams({ stream, ...(heard ? { sound: 'true', ...heard } : {}) })
    return `${scheme}://${location.host}/api/v1/cameras/${id}/live?${query}`
  },
}

export interface IncidentQuery {
  state: 'open' | 'closed' | 'all'
  severity?: Severity
  kind?: Incident['kind'] | 'alarms'
  whose?: 'mine' | 'department'
  step?: IncidentState
  cursor?: string | null
  limit: number
}

const step = (incident_id: string) => ({ params: { path: { incident_id } }, signal: patience() })

export const incidents = {
  list: (query: IncidentQuery) => result(client.GET('/api/v1/incidents', { params: { query }, signal: patience() })),
  get: (id: string): Promise<Incident> => result(client.GET('/api/v1/incidents/{incident_id}', step(id))),
  signals: (id: string) => result(client.GET('/api/v1/incidents/{incident_id}/signals', step(id))),
  acknowledge: (id: string, version: number) =>
    result(client.POST('/api/v1/incidents/{incident_id}/acknowledge', { ...step(id), body: { version } })),
  handle: (id: string, version: number) =>
    result(client.POST('/api/v1/incidents/{incident_id}/handle', { ...step(id), body: { version, note: '' } })),
  feedback: (id: string, version: number, note: string) =>
    result(client.POST('/api/v1/incidents/{incident_id}/feedback', { ...step(id), body: { version, note } })),
  close: (id: string, version: number, note: string, resolution: Resolution) =>
    result(client.POST('/api/v1/incidents/{incident_id}/close', { ...step(id), body: { version, note, resolution } })),
  note: (id: string, text: string): Promise<Incident> =>
    result(client.POST('/api/v1/incidents/{incident_id}/notes', { ...step(id), body: { text } })),
}

export const views = {
  list: (cursor?: string | null) =>
    result(client.GET('/api/v1/view-records', { params: { query: { limit: 50, cursor } }, signal: patience() })),
}

export const tokens = {
  list: (cursor?: string | null) =>
    result(client.GET('/api/v1/tokens', { params: { query: { limit: 100, cursor } }, signal: patience() })),
  create: (body: TokenCreate) => result(client.POST('/api/v1/tokens', { body, signal: patience() })),
  revoke: (token_id: string) =>
    result(client.DELETE('/api/v1/tokens/{token_id}', { params: { path: { token_id } }, signal: patience() })),
}

export const system = () => result(client.GET('/api/v1/system', { signal: patience() }))

/** Asks whether the hub is there at all. */
export const health = () => result(client.GET('/api/v1/health/live', { signal: patience(HEALTH_MS) }), true)
