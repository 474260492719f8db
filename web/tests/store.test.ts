import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type * as Calls from '@/api/calls'
import type { Incident } from '@/api/types'
import type * as Store from '@/state/incidents'

/** A hub that answers what `answers` holds, by path and query. */
let server: Server
let answers: Record<string, { status: number; body: unknown }> = {}
let store: typeof Store
let calls: typeof Calls

beforeAll(async () => {
  server = createServer((request, response) => {
    const { status, body } = answers[request.url ?? ''] ?? { status: 404, body: { code: 'not-found', detail: request.url } }
    response.writeHead(status, { 'Content-Type': 'application/json', 'Retry-After': '7' })
    response.end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  Object.assign(globalThis, { location: { origin: `http://127.0.0.1:${port}` } })
  store = await import('@/state/incidents')
  calls = await import('@/api/calls')
})
afterAll(() => {
  server.close()
})
beforeEach(() => {
  store.forgetIncidents()
  answers = {}
})

function incident(id: string, part: Partial<Incident> = {}): Incident {
  return {
    id,
    kind: 'intrusion',
    status: 'actual',
    severity: 'severe',
    state: 'reported',
    version: 1,
    opened_at: '2026-11-22T08:00:00Z',
    last_signal_at: '2026-11-22T08:00:00Z',
    acknowledged_at: null,
    camera_id: 'gate',
    ...part,
  } as Incident
}
function listed(items: Incident[], next: string | null = null, cursor = ''): void {
  const query = `state=open${cursor ? `&cursor=${cursor}` : ''}&limit=100`
  answers[`/api/v1/incidents?${query}`] = { status: 200, body: { items, next_cursor: next } }
}

describe('the store of incidents', () => {
  it('reads every page and sorts by urgency', async () => {
    listed([incident('a', { severity: 'minor' })], 'more')
    listed([incident('b', { severity: 'extreme' })], null, 'more')
    await store.loadOpen()
    expect(store.openIncidents.value.map(({ id }) => id)).toEqual(['b', 'a'])
    expect(store.waitingCount.value).toBe(2)
    expect(store.openByCamera.value.get('gate')?.[0]?.id).toBe('b')
  })

  it('says when the stream should have told something', async () => {
    listed([incident('a')])
    expect(await store.loadOpen()).toBe(true)
    expect(await store.loadOpen()).toBe(false)
    listed([incident('a', { version: 2 })])
    expect(await store.loadOpen()).toBe(true)
    listed([])
    expect(await store.loadOpen()).toBe(true)
    expect(store.openIncidents.value).toEqual([])
  })

  it('does not count more signals of a running incident as a missed event', async () => {
    listed([incident('a')])
    await store.loadOpen()
    listed([incident('a', { last_signal_at: '2026-11-22T08:00:09Z' })])
    expect(await store.loadOpen()).toBe(false)
  })

  it('takes a closed incident out of the queue', () => {
    store.takeIncident(incident('a'))
    store.takeIncident(incident('a', { version: 2, state: 'closed' }))
    expect(store.openIncidents.value).toEqual([])
    store.takeIncident(incident('a'))
    expect(store.openIncidents.value).toEqual([])
  })
})

describe('problems', () => {
  it('carry what the hub said', async () => {
    answers['/api/v1/sessions'] = { status: 429, body: { code: 'too-many-attempts', detail: 'Wait.', remedy: 'Later.' } }
    await expect((await import('@/api/own')).signingIn.password('duty', 'x')).rejects.toMatchObject({
      status: 429,
      code: 'too-many-attempts',
      remedy: 'Later.',
      retryAfter: 7,
    })
  })

  it('know a hub that is away', async () => {
    answers['/api/v1/health/live'] = { status: 502, body: null }
    await expect(calls.health()).rejects.toMatchObject({ code: 'hub-away', away: true })
  })
})
