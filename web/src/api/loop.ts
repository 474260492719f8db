/** Steps of an incident, who was told, answers out of a message, and how the own account is told. */
import { client, csrfProof, patience, result } from './client'
import { Problem, problemFrom } from './problem'
import type { components } from './schema'
import type { Incident } from './types'

interface Answer<T> {
  data?: T
  error?: unknown
  response: Response
}
type Post = (path: string, init: Record<string, unknown>) => Promise<Answer<Incident>>

/** A step by the last part of its route; what it asks for stands in `lib/stepForms.ts`, and the hub checks it. */
function post(path: string, body: Record<string, unknown>): Promise<Incident> {
  return result((client.POST as unknown as Post)(`/api/v1${path}`, { body, signal: patience() }))
}

export const PROGRESS = ['going', 'arrived', 'done'] as const
export type Progress = (typeof PROGRESS)[number]

export const steps = {
  /** Any step by the last part of its route; answers with the incident as it is then. */
  take: (id: string, route: string, body: Record<string, unknown>): Promise<Incident> =>
    post(`/incidents/${id}/${route}`, body),
  progress: (id: string, progress: Progress, minutes?: number): Promise<Incident> =>
    post(`/incidents/${id}/progress`, { progress, minutes }),
  deliveries: (id: string) =>
    result(
      client.GET('/api/v1/incidents/{incident_id}/deliveries', { params: { path: { incident_id: id } }, signal: patience() }),
    ),
  photosUrl: (id: string) => `/api/v1/incidents/${id}/photos`,
}

export type Delivery = components['schemas']['DeliveryOut']
export type DeliveryState = Delivery['state']

/**
 * Sends one photo; `told` hears how much of it has gone (0 to 1).
 * Gives what the hub made of the incident; rejects with a `Problem`.
 */
export function sendPhoto(id: string, photo: Blob, name: string, told: (share: number) => void): Promise<Incident> {
  return new Promise((resolve, reject) => {
    const form = new FormData()
    form.append('photo', photo, name)
    // fetch does not say how far an upload has come.
    const request = new XMLHttpRequest()
    request.open('POST', steps.photosUrl(id))
    request.setRequestHeader('X-CSRF-Token', csrfProof())
    request.timeout = 120_000
    request.responseType = 'json'
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) told(event.loaded / event.total)
    }
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve(request.response as Incident)
      else reject(problemFrom(new Response(null, { status: Math.max(200, request.status) }), request.response))
    }
    request.onerror = request.ontimeout = () => reject(new Problem(0, 'hub-away', '', ''))
    request.send(form)
  })
}

/** Somebody or some department that an incident can be given to. */
export interface Choosable {
  id: string
  name: string
  /** Where, or of which department. */
  hint: string
  /** On duty as what. */
  post?: components['schemas']['DutyOut']['post']
}

const departments = () =>
  result(client.GET('/api/v1/departments', { signal: patience() }))

/** Departments and people that an incident of `area` can be given to. */
export async function choosable(area: string): Promise<{ departments: Choosable[]; people: Choosable[] }> {
  const [all, duty] = await Promise.all([
    departments(),
    result(client.GET('/api/v1/duty', { params: { query: { area } }, signal: patience() })),
  ])
  // A department works in its area and below.
  const near = all.items.filter((one) => one.area === '' || area === one.area || area.startsWith(`${one.area}/`))
  const people = new Map<string, Choosable>()
  for (const { post, accounts } of duty.items)
    for (const { id, display_name } of accounts) if (!people.has(id)) people.set(id, { id, name: display_name, hint: '', post })
  for (const { name, members } of near)
    for (const { id, display_name } of members) if (!people.has(id)) people.set(id, { id, name: display_name, hint: name })
  return { departments: near.map(({ id, name, area: hint }) => ({ id, name, hint })), people: [...people.values()] }
}

/** Ids of the departments that the account belongs to. */
export async function ownDepartments(account: string): Promise<ReadonlySet<string>> {
  const { items } = await departments()
  return new Set(items.filter(({ members }) => members.some(({ id }) => id === account)).map(({ id }) => id))
}

/** What the link in a message shows; asking for it changes nothing. */
export type AnswerPage = components['schemas']['AnswerPageOut']
export type AnswerWord = components['schemas']['AnswerBody']['answer']

const byLink = (token: string) => ({ params: { path: { token } }, signal: patience() })
export const answers = {
  get: (token: string) => result(client.GET('/api/v1/answers/{token}', byLink(token)), true),
  give: (token: string, answer: AnswerWord, minutes?: number) =>
    result(client.POST('/api/v1/answers/{token}', { ...byLink(token), body: { answer, minutes } }), true),
}

/** Ways by which the own account is told; of an address only as much as tells it from another. */
export type ContactPoint = components['schemas']['ContactPointOut']
export type NewContactPoint = components['schemas']['ContactPointCreate']
export type PushDevice = components['schemas']['PushDeviceOut']

const point = (point_id: string) => ({ params: { path: { point_id } }, signal: patience() })
export const ownWays = {
  points: () => result(client.GET('/api/v1/account/contact-points', { signal: patience() })),
  add: (body: NewContactPoint) => result(client.POST('/api/v1/account/contact-points', { body, signal: patience() })),
  verify: (id: string, code: string) =>
    result(client.POST('/api/v1/account/contact-points/{point_id}/verify', { ...point(id), body: { code } })),
  remove: (id: string) => result(client.DELETE('/api/v1/account/contact-points/{point_id}', point(id))),
  push: () => result(client.GET('/api/v1/account/push', { signal: patience() })),
  subscribe: (body: components['schemas']['PushCreate']) =>
    result(client.POST('/api/v1/account/push', { body, signal: patience() })),
  unsubscribe: (endpoint: string) =>
    result(client.DELETE('/api/v1/account/push', { body: { endpoint }, signal: patience() })),
}

export const loop = {
  /** Open incidents of the own account, and those of a department that it belongs to. */
  mine: async (): Promise<Incident[]> => {
    const ask = (whose: 'mine' | 'department') =>
      result(client.GET('/api/v1/incidents', { params: { query: { state: 'open', whose, limit: 100 } }, signal: patience() }))
    const [mine, department] = await Promise.all([ask('mine'), ask('department')])
    return [...mine.items, ...department.items]
  },
}
