/** Calls about recordings: what there is, playing it back, keeping it, and the disks it lies on. */
import { client, csrfProof, patience, result } from './client'
import type { components } from './schema'

type Schemas = components['schemas']
export type Recordings = Schemas['RecordingsOut']
export type RecordingDay = Schemas['DayOut']
export type GapReason = Schemas['GapOut']['reason']
export type RecordingLock = Schemas['LockOut']
export type LockRequest = Schemas['LockCreate']
export type PlaybackRequest = Schemas['PlaybackCreate']
export type Playback = Schemas['PlaybackOut']
export type RecordedFile = Schemas['PlaybackSegment']
export type Storage = Schemas['StorageOut']
export type Disk = Schemas['DiskOut']
export type CameraStorage = Schemas['CameraStorageOut']
export type StorageCheck = Schemas['CheckOut']

/** A disk that spins up, or masks that are painted, may take their time. */
const MEDIA_MS = 30_000
const BEAT_MS = 5_000

const iso = (at: number): string => new Date(at).toISOString()

export const recordings = {
  of: (camera_id: string, from: number, to: number) =>
    result(
      client.GET('/api/v1/cameras/{camera_id}/recordings', {
        params: { path: { camera_id }, query: { from: iso(from), to: iso(to) } },
        signal: patience(),
      }),
    ),
  days: (camera_id: string, month: string) =>
    result(
      client.GET('/api/v1/cameras/{camera_id}/recordings/days', {
        params: { path: { camera_id }, query: { month } },
        signal: patience(),
      }),
    ),
  locks: (state: 'active' | 'all', cursor?: string | null, camera_id?: string) =>
    result(client.GET('/api/v1/recordings/locks', { params: { query: { limit: 100, state, cursor, camera_id } }, signal: patience() })),
  lock: (body: LockRequest) => result(client.POST('/api/v1/recordings/locks', { body, signal: patience() })),
  extendLock: (lock_id: string, expires_at: string, reason: string) =>
    result(
      client.PATCH('/api/v1/recordings/locks/{lock_id}', { params: { path: { lock_id } }, body: { expires_at, reason }, signal: patience() }),
    ),
  unlock: (lock_id: string, reason = '') =>
    result(client.DELETE('/api/v1/recordings/locks/{lock_id}', { params: { path: { lock_id }, query: { reason } }, signal: patience() })),
}

/** Bytes with what their headers say of them; refused with a `Problem`, a 401 ends the session. */
async function bytes(url: string, signal: AbortSignal): Promise<{ data: ArrayBuffer; headers: Headers }> {
  const pending = fetch(url, { signal: AbortSignal.any([signal, patience(MEDIA_MS)]) })
  return result(
    pending.then(async (response) =>
      response.ok
        ? { data: { data: await response.arrayBuffer(), headers: response.headers }, response }
        : { error: await response.json().catch(() => null), response },
    ),
  )
}

const base = (id: string): string => `/api/v1/playbacks/${id}`

export const playbacks = {
  begin: (body: PlaybackRequest) => result(client.POST('/api/v1/playbacks', { body, signal: patience() })),
  files: (playback_id: string, camera_id: string, from: number, to: number) =>
    result(
      client.GET('/api/v1/playbacks/{playback_id}/segments', {
        params: { path: { playback_id }, query: { camera_id, from: iso(from), to: iso(to) } },
        signal: patience(),
      }),
    ),
  /** Asks whether the playback of a camera may go on; rejects when not. */
  beat: (playback_id: string, camera_id: string, at: number) =>
    result(
      client.GET('/api/v1/playbacks/{playback_id}/segments', {
        params: { path: { playback_id }, query: { camera_id, from: iso(at), to: iso(at + 1) } },
        signal: patience(BEAT_MS),
      }),
    ),
  init: (id: string, file: string, signal: AbortSignal) => bytes(`${base(id)}/segments/${file}/init`, signal),
  media: (id: string, file: string, wanted: { from: string; to: string; keyframe: boolean }, signal: AbortSignal) => {
    const query = new URLSearchParams({ from: wanted.from, to: wanted.to, keyframe: String(wanted.keyframe) })
    return bytes(`${base(id)}/segments/${file}/media?${query}`, signal)
  },
  thumbnail: (id: string, camera_id: string, at: number, signal: AbortSignal) =>
    bytes(`${base(id)}/thumbnail?${new URLSearchParams({ camera_id, at: iso(at) })}`, signal),
  /** Ends it, also while the page is being left. */
  end: (id: string): Promise<unknown> =>
    fetch(base(id), { method: 'DELETE', keepalive: true, headers: { 'X-CSRF-Token': csrfProof() } }).catch(() => undefined),
}

export const storage = {
  read: () => result(client.GET('/api/v1/storage', { signal: patience() })),
  check: (depth: StorageCheck['depth'], repair: boolean) =>
    result(client.POST('/api/v1/storage/checks', { body: { depth, repair }, signal: patience() })),
  readCheck: (check_id: string) =>
    result(client.GET('/api/v1/storage/checks/{check_id}', { params: { path: { check_id } }, signal: patience() })),
}
