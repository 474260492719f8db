import { asProblem, Problem, problemFrom } from './problem'

const BASE = '/api/v1'
const TIMEOUT_MS = 15_000

let csrfToken = ''
let onSignedOut: () => void = () => undefined
let onAnswer: (reached: boolean, date: string | null) => void = () => undefined

export function setCsrfToken(token: string): void {
  csrfToken = token
}

/** Registers what hears of a session that ended, and of each answer or its absence. */
export function observe(hooks: {
  signedOut: () => void
  answer: (reached: boolean, date: string | null) => void
}): void {
  onSignedOut = hooks.signedOut
  onAnswer = hooks.answer
}

type Query = Record<string, string | number | undefined | null>

export function withQuery(path: string, query: Query = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '')
  if (given.length === 0) return path
  return `${path}?${new URLSearchParams(given.map(([key, value]) => [key, String(value)]))}`
}

/** One call; rejects with a `Problem`. `quiet` keeps a 401 from ending the session. */
export async function call<T>(
  method: string,
  path: string,
  options: { body?: unknown; query?: Query; quiet?: boolean; timeoutMs?: number } = {},
): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json' }
  if (options.body !== undefined) headers['Content-Type'] = 'application/json'
  if (method !== 'GET' && csrfToken) headers['X-CSRF-Token'] = csrfToken
  let response: Response
  try {
    response = await fetch(BASE + withQuery(path, options.query), {
      method,
      headers,
      body: options.body === undefined ? undefined : JSON.stringify(options.body),
      credentials: 'same-origin',
      signal: AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS),
    })
  } catch (error) {
    onAnswer(false, null)
    throw asProblem(error)
  }
  const body: unknown = response.status === 204 ? null : await response.json().catch(() => null)
  if (!response.ok) {
    const problem = problemFrom(response, body)
    onAnswer(!problem.away, response.headers.get('Date'))
    if (response.status === 401 && !options.quiet) onSignedOut()
    throw problem
  }
  onAnswer(true, response.headers.get('Date'))
  if (body === null && response.status !== 204) throw new Problem(response.status, 'unexpected-answer', '', '')
  return body as T
}
