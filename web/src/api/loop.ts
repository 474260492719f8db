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
type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'
type Loose = Record<Method, (path: string, init: Record<string, unknown>) => Promise<Answer<unknown>>>

function send<T>(method: Method, path: string, body?: unknown, quiet = false): Promise<T> {
  const call = (client as unknown as Loose)[method]
  return result(call(`/api/v1${path}`, { body, signal: patience() }) as Promise<Answer<T>>, quiet)
}

export const PROGRESS = ['going', 'arrived', 'done'] as const
export type Progress = (typeof PROGRESS)[number]

export const steps = {
  /** Any step by the last part of its route; answers with the incident as it is then. */
  take: (id: string, route: string, body: Record<string, unknown>): Promise<Incident> =>
    send('POST', `/incidents/${id}/${route}`, body),
  progress: (id: string, progress: Progress, minutes?: number): Promise<Incident> =>
    send('POST', `/incidents/${id}/progress`, { progress, minutes }),
  deliveries: (id: string): Promise<{ items: Delivery[] }> => send('GET', `/incidents/${id}/deliveries`),
  photosUrl: (id: string) => `/api/v1/incidents/${id}/photos`,
}

export type DeliveryState =
  | 'waiting'
  | 'sending'
  | 'sent'
  | 'failed'
  | 'unknown'
  | 'cancelled'
  | 'withheld'
  | 'given_up'

export interface Delivery {
  id: string
  attempt: number
  recipient_kind: 'account' | 'contact' | 'room' | 'device'
  recipient_id: string
  recipient_name: string
  channel: string
  purpose: 'alert' | 'whistle' | 'reminder' | 'news' | 'over' | 'consent' | 'code' | 'test'
  round_key: string
  state: DeliveryState
  not_before: string
  started_at: string | null
  finished_at: string | null
  created_at: string
  code: string
  detail: string
}

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
  post?: Post
}
type Post = components['schemas']['DutyOut']['post']

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
export interface AnswerPage {
  state: 'open' | 'over' | 'expired'
  headline: string
  kind: string
  severity: string
  status: string
  number: string
  place: string
  opened_at: string
  name: string
  answer: 'seen' | 'coming' | 'cannot' | null
  answered_at: string | null
  eta_at: string | null
}
export type AnswerWord = 'seen' | 'coming' | 'cannot'

export const answers = {
  get: (token: string): Promise<AnswerPage> => send('GET', `/answers/${token}`, undefined, true),
  give: (token: string, answer: AnswerWord, minutes?: number): Promise<AnswerPage> =>
    send('POST', `/answers/${token}`, { answer, minutes }, true),
}

/** Ways by which the own account is told. */
export interface ContactPoint {
  id: string
  channel: string
  address: string
  label: string
  verified_at: string | null
  created_at: string
}
export interface PushDevice {
  id: string
  user_agent: string
  created_at: string
  failed_at: string | null
}

export const ownWays = {
  points: (): Promise<{ items: ContactPoint[] }> => send('GET', '/account/contact-points'),
  add: (channel: string, address: string, label: string): Promise<ContactPoint> =>
    send('POST', '/account/contact-points', { channel, address, label }),
  verify: (id: string, code: string): Promise<ContactPoint> => send('POST', `/account/contact-points/${id}/verify`, { code }),
  remove: (id: string): Promise<void> => send('DELETE', `/account/contact-points/${id}`),
  push: (): Promise<{ key: string; items: PushDevice[] }> => send('GET', '/account/push'),
  subscribe: (subscription: PushSubscriptionJSON): Promise<PushDevice> => send('POST', '/account/push', subscription),
  unsubscribe: (endpoint: string): Promise<void> => send('DELETE', '/account/push', { endpoint }),
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
