/** The hub's interface, typed by its OpenAPI document. */
import createClient, { type Middleware } from 'openapi-fetch'
import { asProblem, Problem, problemFrom } from './problem'
import type { paths } from './schema'

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

/** Browsers send the cookie by themselves; the token proves that this page made the request. */
const csrf: Middleware = {
  onRequest({ request }) {
    if (request.method !== 'GET' && csrfToken) request.headers.set('X-CSRF-Token', csrfToken)
    return request
  },
}

export const client = createClient<paths>({ baseUrl: globalThis.location?.origin ?? 'http://localhost' })
client.use(csrf)

/** The proof for a request that does not go through `client`. */
export function csrfProof(): string {
  return csrfToken
}

export function patience(milliseconds = TIMEOUT_MS): AbortSignal {
  return AbortSignal.timeout(milliseconds)
}

interface Answer<T> {
  data?: T
  error?: unknown
  response: Response
}

/** What a call gave; rejects with a `Problem`. `quiet` keeps a 401 from ending the session. */
export async function result<T>(pending: Promise<Answer<T>>, quiet = false): Promise<T> {
  let answer: Answer<T>
  try {
    answer = await pending
  } catch (error) {
    // An answer that is no JSON is an answer all the same.
    const problem = error instanceof SyntaxError ? new Problem(502, 'hub-away', '', '') : asProblem(error)
    onAnswer(false, null)
    throw problem
  }
  const { data, error, response } = answer
  const date = response.headers.get('Date')
  if (response.ok) {
    onAnswer(true, date)
    return data as T
  }
  const problem = problemFrom(response, error)
  onAnswer(!problem.away, date)
  if (response.status === 401 && !quiet) onSignedOut()
  throw problem
}
