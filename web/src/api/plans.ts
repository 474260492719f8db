/** Calls about plans: drawings on which cameras stand (docs/design/plans.md). */
import { client, csrfProof, patience, result } from './client'
import type { components } from './schema'

type Schemas = components['schemas']
export type Plan = Schemas['PlanOut']
export type PlanUpdate = Schemas['PlanUpdate']

/** 20 MB over a slow line; the hub itself takes no longer. */
const SEND_MS = 130_000
const at = (plan_id: string) => ({ params: { path: { plan_id } }, signal: patience() })

/** Sends a form with a file, and tells how much of it has gone (0 to 1). `fetch` cannot tell. */
function send(method: 'POST' | 'PUT', path: string, form: FormData, told: (share: number) => void): Promise<Plan> {
  const pending = new Promise<{ data?: Plan; error?: unknown; response: Response }>((done, fail) => {
    const request = new XMLHttpRequest()
    request.open(method, path)
    request.setRequestHeader('X-CSRF-Token', csrfProof())
    request.timeout = SEND_MS
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) told(event.loaded / event.total)
    }
    request.onload = () => {
      const { status, responseText } = request
      const date = request.getResponseHeader('Date')
      const headers = date ? { Date: date } : undefined
      const response = new Response(null, { status: status === 204 ? 204 : status, headers })
      let body: unknown
      try {
        body = JSON.parse(responseText)
      } catch (error) {
        fail(error instanceof Error ? error : new SyntaxError())
        return
      }
      done(response.ok ? { data: body as Plan, response } : { error: body, response })
    }
    request.onerror = () => fail(new TypeError('network'))
    request.ontimeout = () => fail(new DOMException('', 'TimeoutError'))
    request.send(form)
  })
  return result(pending)
}

export const plans = {
  list: async (): Promise<Plan[]> => (await result(client.GET('/api/v1/plans', { signal: patience() }))).items,
  create: (file: File, about: { name: string; area: string; north: number }, told: (share: number) => void) => {
    const form = new FormData()
    form.set('name', about.name)
    form.set('area', about.area)
    form.set('north', String(about.north))
    form.set('file', file)
    return send('POST', '/api/v1/plans', form, told)
  },
  redraw: (plan: Plan, version: number, file: File, told: (share: number) => void) => {
    const form = new FormData()
    form.set('version', String(version))
    form.set('file', file)
    return send('PUT', `/api/v1/plans/${plan.id}/image`, form, told)
  },
  update: (id: string, body: PlanUpdate) => result(client.PATCH('/api/v1/plans/{plan_id}', { ...at(id), body })),
  remove: (id: string) => result(client.DELETE('/api/v1/plans/{plan_id}', at(id))),
  /** The version makes it another address when the drawing is another one. */
  imageUrl: (plan: Plan) => `/api/v1/plans/${plan.id}/image?v=${plan.version}`,
}
