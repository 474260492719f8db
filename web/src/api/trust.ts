/** Calls about trust: who may look, who looked, what the law asks (docs/design/trust.md). */
import { client, patience, result } from './client'
import type { CameraUpdate, ExportRequest, GrantRequest, Mask, SealRequest } from './types'

/** A picture is taken from the camera itself, which may take its time. */
const PICTURE_MS = 20_000

const page = <Q extends object>(query: Q, limit = 50) => ({ params: { query: { limit, ...query } }, signal: patience() })
const at = <P extends object>(path: P) => ({ params: { path }, signal: patience() })
const put = <P extends object, B extends object>(path: P, body: B) => ({ ...at(path), body })

export const home = {
  read: () => result(client.GET('/api/v1/home', { signal: patience() })),
  viewings: (query: { camera_id?: string; month?: string; cursor?: string | null }) =>
    result(client.GET('/api/v1/home/viewings', page(query, 100))),
  digest: (month: string) =>
    result(client.GET('/api/v1/home/digest', { params: { query: { month } }, signal: patience() })),
}

export const grants = {
  list: (query: { camera_id?: string; state: 'live' | 'ended' | 'all' }) =>
    result(client.GET('/api/v1/grants', page(query, 100))),
  give: (body: GrantRequest) => result(client.POST('/api/v1/grants', { body, signal: patience() })),
  withdraw: (grant_id: string) => result(client.POST('/api/v1/grants/{grant_id}/withdraw', at({ grant_id }))),
}

export const households = {
  list: (cursor?: string | null) => result(client.GET('/api/v1/households', page({ cursor }, 100))),
  create: (name: string, area: string) =>
    result(client.POST('/api/v1/households', { body: { name, area }, signal: patience() })),
  invite: (household_id: string, username: string) =>
    result(client.POST('/api/v1/households/{household_id}/members', put({ household_id }, { username }))),
  leave: (household_id: string, account_id: string) =>
    result(
      client.DELETE('/api/v1/households/{household_id}/members/{account_id}', at({ household_id, account_id })),
    ),
  close: (household_id: string) =>
    result(client.POST('/api/v1/households/{household_id}/close', at({ household_id }))),
}

export const purposes = () => result(client.GET('/api/v1/purposes', { signal: patience() }))

export const law = () => result(client.GET('/api/v1/law', { signal: patience() }))

export const transparency = () =>
  result(client.GET('/api/v1/transparency', { signal: patience() }), true)

export const masks = (camera_id: string, version: number, list: Mask[], burnt: boolean) =>
  result(client.PUT('/api/v1/cameras/{camera_id}/masks', put({ camera_id }, { version, masks: list, burnt })))

/** One picture of a camera, taken now. */
export function takePicture(camera_id: string, purpose: string, reference: string): Promise<Blob> {
  const query = new URLSearchParams()
  if (purpose) query.set('purpose', purpose)
  if (reference) query.set('reference', reference)
  const pending = fetch(`/api/v1/cameras/${camera_id}/snapshot?${query}`, { signal: patience(PICTURE_MS) })
  return result(
    pending.then(async (response) =>
      response.ok
        ? { data: await response.blob(), response }
        : { error: await response.json().catch(() => null), response },
    ),
  )
}

/** Switches a camera on or off: what a household may do with its own, so no other field goes along. */
export const switchCamera = (camera_id: string, version: number, enabled: boolean) =>
  result(client.PATCH('/api/v1/cameras/{camera_id}', put({ camera_id }, { version, enabled } as CameraUpdate)))

export const exports = {
  list: (cursor?: string | null) => result(client.GET('/api/v1/exports', page({ cursor }))),
  get: (export_id: string) => result(client.GET('/api/v1/exports/{export_id}', at({ export_id }))),
  request: (body: ExportRequest) => result(client.POST('/api/v1/exports', { body, signal: patience() })),
  decide: (export_id: string, step: 'approve' | 'refuse' | 'withdraw', note: string) =>
    result(client.POST(`/api/v1/exports/{export_id}/${step}`, put({ export_id }, { note }))),
  /** Opens what would leave; that it is looked at is written down. */
  preview: (export_id: string) => result(client.POST('/api/v1/exports/{export_id}/previews', at({ export_id }))),
  fileUrl: (export_id: string) => `/api/v1/exports/${export_id}/file`,
}

export const seals = {
  list: (cursor?: string | null) => result(client.GET('/api/v1/seals', page({ cursor }))),
  request: (body: SealRequest) => result(client.POST('/api/v1/seals', { body, signal: patience() })),
  decide: (seal_id: string, step: 'approve' | 'lift') =>
    result(
      step === 'approve'
        ? client.POST('/api/v1/seals/{seal_id}/approve', at({ seal_id }))
        : client.POST('/api/v1/seals/{seal_id}/lift', at({ seal_id })),
    ),
}

export const ledger = {
  list: (query: { kind?: string; subject?: string; actor_id?: string; cursor?: string | null }) =>
    result(client.GET('/api/v1/ledger', page(query, 100))),
  head: () => result(client.GET('/api/v1/ledger/head', { signal: patience() })),
  verify: () => result(client.POST('/api/v1/ledger/verifications', { signal: patience() })),
  verification: (verification_id: string) =>
    result(client.GET('/api/v1/ledger/verifications/{verification_id}', at({ verification_id }))),
  checkpointUrl: '/api/v1/ledger/checkpoint',
}

