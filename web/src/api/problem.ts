/** What is wrong with one field; `rule` is the law's number where a law says so, `texts` says it in each language. */
export interface FieldFault {
  field: string
  message: string
  rule: string
  texts: Record<string, string>
}

/** An answer that says no: RFC 9457 problem details, or no answer at all. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly remedy: string,
    readonly fields: FieldFault[] = [],
    readonly retryAfter: number | null = null,
    /** Further members of the answer, as its code has them. */
    readonly more: Readonly<Record<string, unknown>> = {},
  ) {
    super(detail)
    this.name = 'Problem'
  }

  /** True when the hub itself could not be reached. */
  get away(): boolean {
    return this.status === 0 || this.code === 'hub-away'
  }
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function texts(value: unknown): Record<string, string> {
  if (typeof value !== 'object' || value === null) return {}
  return Object.fromEntries(Object.entries(value).map(([language, words]) => [language, text(words)]))
}

/** The problem that stands in `response`, whatever its body looks like. */
export function problemFrom(response: Response, body: unknown): Problem {
  const retry = Number(response.headers.get('Retry-After'))
  const retryAfter = Number.isFinite(retry) && retry > 0 ? retry : null
  if (typeof body !== 'object' || body === null) {
    const code = response.status >= 502 && response.status <= 504 ? 'hub-away' : 'unexpected-answer'
    return new Problem(response.status, code, '', '', [], retryAfter)
  }
  const fields = 'errors' in body && Array.isArray(body.errors) ? body.errors : []
  return new Problem(
    response.status,
    'code' in body ? text(body.code) : 'unexpected-answer',
    'detail' in body ? text(body.detail) : '',
    'remedy' in body ? text(body.remedy) : '',
    fields.map((field: Record<string, unknown>) => ({
      field: text(field.field),
      message: text(field.message),
      rule: text(field.rule),
      texts: texts(field.texts),
    })),
    retryAfter,
    body as Record<string, unknown>,
  )
}

/** What `error` is to the rest of the console; a failed fetch becomes `hub-away`. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  return new Problem(0, 'hub-away', error instanceof Error ? error.message : '', '')
}
