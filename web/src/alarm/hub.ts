/** One request to the hub with this device's token. */

/** No answer of the hub: no network, no hub, a portal in between, or a hub that asks to come again. */
export class Away extends Error {
  constructor(readonly retryAfterMs = 0) {
    super('the hub gave no answer')
    this.name = 'Away'
  }
}

export interface Answer {
  status: number
  /** The parsed body; undefined for an answer without one. */
  body: unknown
  code: string
  etag: string | null
}

export interface Ask {
  method?: 'GET' | 'POST' | 'DELETE'
  path: string
  body?: object
  etag?: string | null
  token?: string
  signal?: AbortSignal
  timeoutMs?: number
}

/** Hears how far the hub's clock is ahead, from each answer. */
let onAnswer: (aheadMs: number) => void = () => undefined
export function observe(heard: (aheadMs: number) => void): void {
  onAnswer = heard
}

const AGAIN = new Set([408, 425, 429])

function field(body: unknown, name: string): string {
  const value = typeof body === 'object' && body !== null ? (body as Record<string, unknown>)[name] : undefined
  return typeof value === 'string' ? value : ''
}

/**
 * The hub's answer, whatever its status below 500.
 *
 * Rejects with `Away` for everything that is no word of the hub itself, so that the page of a hotel's
 * network never passes for a receipt or for a refusal.
 */
export async function ask(asked: Ask): Promise<Answer> {
  const stop = new AbortController()
  const timer = setTimeout(() => stop.abort(), asked.timeoutMs ?? 10_000)
  const abort = (): void => stop.abort()
  asked.signal?.addEventListener('abort', abort)
  if (asked.signal?.aborted) abort()
  try {
    return await answerTo(asked, stop.signal)
  } catch (error) {
    throw error instanceof Away ? error : new Away()
  } finally {
    clearTimeout(timer)
    asked.signal?.removeEventListener('abort', abort)
  }
}

async function answerTo(asked: Ask, signal: AbortSignal): Promise<Answer> {
  const headers: Record<string, string> = { Accept: 'application/json' }
  const language = typeof document === 'undefined' ? '' : document.documentElement.lang
  if (language) headers['Accept-Language'] = language
  if (asked.token) headers.Authorization = `Bearer ${asked.token}`
  if (asked.etag) headers['If-None-Match'] = asked.etag
  if (asked.body) headers['Content-Type'] = 'application/json'
  const response = await fetch(`/api/v1${asked.path}`, {
    method: asked.method ?? 'GET',
    headers,
    body: asked.body ? JSON.stringify(asked.body) : null,
    credentials: 'omit',
    cache: 'no-store',
    redirect: 'error',
    // A page that is closed just now still gets its request out.
    keepalive: asked.method === 'POST',
    signal,
  })
  if (response.status >= 500 || AGAIN.has(response.status))
    throw new Away((Number(response.headers.get('Retry-After')) || 0) * 1000)
  const etag = response.headers.get('ETag')
  let body: unknown
  if (response.status !== 204 && response.status !== 304) {
    if (!/^application\/(problem\+)?json/.test(response.headers.get('Content-Type') ?? '')) throw new Away()
    body = await response.json()
  }
  const code = field(body, 'code')
  if (response.status >= 400 && code === '') throw new Away()
  const date = Date.parse(response.headers.get('Date') ?? '')
  // The header has whole seconds, cut off.
  if (!Number.isNaN(date)) onAnswer(date + 500 - Date.now())
  return { status: response.status, body, code, etag }
}
