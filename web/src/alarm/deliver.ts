/** Brings one press to the hub; used by the page and by the service worker alike. */
import { ask, Away, type Answer } from './hub'
import type { Store } from './store'
import { hasMore, type Alarm, type Press } from './types'

/** Statuses after which the same press would be refused again. */
const REFUSED = new Set([400, 401, 403, 409, 413, 422])

export interface Outcome {
  /** Something is left to be told. */
  again: boolean
  retryAfterMs: number
}

const DONE: Outcome = { again: false, retryAfterMs: 0 }

function isReceipt(body: unknown, id: string): body is Alarm {
  if (typeof body !== 'object' || body === null) return false
  const alarm = body as Partial<Alarm>
  return alarm.id === id && typeof alarm.incident_id === 'string' && Array.isArray(alarm.steps)
}

/** What `answer` makes of a press that was being sent. */
function afterPress(press: Press, answer: Answer, aheadMs: number): Press | null {
  if (answer.status < 300 && isReceipt(answer.body, press.id))
    return { ...press, state: 'received', alarm: answer.body, heardMs: Date.now() }
  if (answer.status === 422 && !press.retimed)
    // The likeliest fault in what a page sends is its clock: once more with the hub's own time.
    return { ...press, retimed: true, pressedAt: new Date(Date.now() + aheadMs).toISOString() }
  if (REFUSED.has(answer.status))
    return { ...press, state: 'refused', refusal: { status: answer.status, code: answer.code } }
  return null
}

async function send(store: Store, token: string, press: Press, signal?: AbortSignal, timeoutMs?: number): Promise<Press | null> {
  const answer = await ask({
    method: 'POST',
    path: '/alarms',
    token,
    body: { id: press.id, kind: press.kind, pressed_at: press.pressedAt, status: press.status, held: press.held },
    signal,
    timeoutMs,
  })
  const aheadMs = (await store.device())?.aheadMs ?? 0
  const next = afterPress(press, answer, aheadMs)
  if (!next) return null
  if (answer.status === 401) await store.changeDevice((device) => ({ ...device, revoked: true }))
  return store.change(press.id, (now) =>
    // Page and service worker may both send: what is received stays so.
    now.state === 'sending' ? { ...now, ...afterPress(now, answer, aheadMs) } : now,
  )
}

type Told = 'told' | 'refused' | 'again'

/** A message about a press that is received; one that is refused is not sent again. */
async function tell(token: string, path: string, body: object, signal?: AbortSignal): Promise<Told> {
  const { status } = await ask({ method: 'POST', path, token, body, signal })
  if (status < 300) return 'told'
  return REFUSED.has(status) ? 'refused' : 'again'
}

async function tellPlace(store: Store, token: string, press: Press, signal?: AbortSignal): Promise<Press | null> {
  if (!press.place || press.placeSent) return press
  const told = await tell(token, `/alarms/${press.id}/location`, press.place, signal)
  if (told === 'again') return press
  return store.change(press.id, (now) => (told === 'told' ? { ...now, placeSent: true } : { ...now, place: undefined }))
}

async function tellMistake(store: Store, token: string, press: Press, signal?: AbortSignal): Promise<Press | null> {
  if (!press.mistake || press.mistakeSent) return press
  const told = await tell(token, `/alarms/${press.id}/cancel`, {}, signal)
  if (told === 'again') return press
  return store.change(press.id, (now) => (told === 'told' ? { ...now, mistakeSent: true } : { ...now, mistake: false }))
}

/**
 * Sends what is left of the press `id`, in order: the press, its place, the word that it was a mistake.
 *
 * Never rejects for the hub's reasons; `again` says that it has to be tried once more.
 */
export async function deliver(
  store: Store,
  press: Press,
  options: { signal?: AbortSignal; timeoutMs?: number } = {},
): Promise<Outcome> {
  const token = (await store.device())?.token
  if (!token || !hasMore(press)) return DONE
  const { signal, timeoutMs } = options
  try {
    let now: Press | null = press
    if (now.state === 'sending') now = await send(store, token, now, signal, timeoutMs)
    if (now?.state !== 'received') return { again: now === null || now.state === 'sending', retryAfterMs: 0 }
    now = await tellPlace(store, token, now, signal)
    if (now) now = await tellMistake(store, token, now, signal)
    return { again: now !== null && hasMore(now), retryAfterMs: 0 }
  } catch (error) {
    if (error instanceof Away) return { again: true, retryAfterMs: error.retryAfterMs }
    throw error
  }
}

/** Sends what is left of every press; `again` says that something still is. */
export async function deliverAll(store: Store, options: { signal?: AbortSignal; timeoutMs?: number } = {}): Promise<Outcome> {
  const waiting = (await store.presses()).filter(hasMore).sort((a, b) => a.madeMs - b.madeMs)
  const outcomes = await Promise.all(waiting.map((press) => deliver(store, press, options)))
  return {
    again: outcomes.some(({ again }) => again),
    retryAfterMs: Math.max(0, ...outcomes.map(({ retryAfterMs }) => retryAfterMs)),
  }
}
