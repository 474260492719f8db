/** Calls about cameras as devices: finding them, their own settings, their head, how they have been (docs/design/recordings.md). */
import { cameras } from './calls'
import { client, csrfProof, patience, result } from './client'
import type { CameraUpdate } from './types'
import type { components } from './schema'

type Schemas = components['schemas']

/** A camera is asked, which may take its time. */
const CAMERA_MS = 60_000
/** Changing a transport asks each camera anew. */
const MANY_MS = 10 * 60_000
const FILE_MS = 60_000
/** Whoever holds a key waits for no longer than the movement lasts. */
const TURN_MS = 8_000

export type RecordingPlan = Schemas['RecordingPlan-Input']
export type RecordingMode = RecordingPlan['mode']
export type Search = Schemas['DiscoveryOut']
export type SearchRequest = Schemas['DiscoveryRequest']
export type Found = Schemas['FoundOut']
export type DeviceDetails = Schemas['DeviceDetailsOut']
export type Encoder = Schemas['EncoderOut']
export type EncoderChange = Schemas['EncoderUpdate']
export type EncoderAnswer = Schemas['EncoderSetOut']
export type DeviceClock = Schemas['ClockOut']
export type ImportJob = Schemas['ImportOut']
export type ImportRow = Schemas['ImportRowOut']
export type CamerasSet = Schemas['CameraSet']
export type CameraResult = Schemas['CameraResultOut']
export type Head = Schemas['PtzOut']
export type HeadCommand = Pick<Schemas['PtzCommand'], 'op'> & Partial<Schemas['PtzCommand']>

const at = <P extends object>(path: P, wait = CAMERA_MS) => ({ params: { path }, signal: patience(wait) })
const put = <P extends object, B extends object>(path: P, body: B, wait?: number) => ({ ...at(path, wait), body })

export const searches = {
  begin: (body: SearchRequest) => result(client.POST('/api/v1/camera-discoveries', { body, signal: patience() })),
  read: (job_id: string) => result(client.GET('/api/v1/camera-discoveries/{job_id}', at({ job_id }))),
  cancel: (job_id: string) => result(client.DELETE('/api/v1/camera-discoveries/{job_id}', at({ job_id }))),
}

export const device = {
  read: (camera_id: string) => result(client.GET('/api/v1/cameras/{camera_id}/device', at({ camera_id }))),
  setEncoder: (camera_id: string, token: string, body: EncoderChange) =>
    result(client.PUT('/api/v1/cameras/{camera_id}/encoders/{token}', put({ camera_id, token }, body))),
  setClock: (camera_id: string, body: Schemas['ClockUpdate']) =>
    result(client.POST('/api/v1/cameras/{camera_id}/clock', put({ camera_id }, body))),
  restart: (camera_id: string) => result(client.POST('/api/v1/cameras/{camera_id}/reboot', at({ camera_id }))),
}

export const head = {
  read: (camera_id: string) => result(client.GET('/api/v1/cameras/{camera_id}/ptz', at({ camera_id }))),
  /** `keepalive`: the request outlives the page, so that a stop arrives although the page is closed. */
  turn: (camera_id: string, { name = '', preset = '', ...more }: HeadCommand) =>
    result(
      client.POST('/api/v1/cameras/{camera_id}/ptz', { ...put({ camera_id }, { name, preset, ...more }, more.op === 'rename_preset' ? CAMERA_MS : TURN_MS), keepalive: true }),
    ),
}

export const lists = {
  /** `file` goes as it is: the hub finds out its encoding. Asks the cameras only where it adds them. */
  begin: (file: Blob, dry_run: boolean) => {
    const pending = fetch(`/api/v1/cameras/import?dry_run=${dry_run}`, {
      method: 'POST',
      headers: { 'Content-Type': 'text/csv', 'X-CSRF-Token': csrfProof() },
      body: file,
      signal: patience(FILE_MS),
    })
    return result(
      pending.then(async (response) =>
        response.ok ? { data: (await response.json()) as ImportJob, response } : { error: await response.json(), response },
      ),
    )
  },
  read: (job_id: string) => result(client.GET('/api/v1/cameras/imports/{job_id}', at({ job_id }))),
  cancel: (job_id: string) => result(client.DELETE('/api/v1/cameras/imports/{job_id}', at({ job_id }))),
}

/** Changes many cameras alike, each by itself; at most 500 a call. */
export async function setCameras(ids: readonly string[], set: CamerasSet): Promise<CameraResult[]> {
  const results: CameraResult[] = []
  for (let begin = 0; begin < ids.length; begin += 500) {
    const body = { ids: ids.slice(begin, begin + 500), set }
    results.push(...(await result(client.PATCH('/api/v1/cameras', { body, signal: patience(MANY_MS) }))).results)
  }
  return results
}

export type CameraHealth = Schemas['CameraHealthOut']

/** How a camera was doing in `month`, such as `2026-11`. */
export const cameraHealth = (camera_id: string, month: string): Promise<CameraHealth> =>
  result(client.GET('/api/v1/cameras/{camera_id}/health', { params: { path: { camera_id }, query: { month } }, signal: patience() }))

/** Sends nothing but the plan: with any other field the hub asks for the right to change the camera, which a household has not. */
export const setRecording = (camera_id: string, version: number, recording: RecordingPlan) =>
  cameras.update(camera_id, { version, recording } as CameraUpdate)
