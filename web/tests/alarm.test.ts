import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { deliver, deliverAll } from '@/alarm/deliver'
import { newId } from '@/alarm/ids'
import { headline, rungs, whenHere } from '@/alarm/ladder'
import { callLink, messageLink } from '@/alarm/links'
import { distance, type Box } from '@/alarm/remote'
import { KeptStore, MemoryStore, type Store } from '@/alarm/store'
import { texts } from '@/alarm/texts'
import type { Alarm, Press, Step } from '@/alarm/types'
import { fill, language } from '@/alarm/words'

/** A hub on a socket; each test says what it answers. */
let server: Server
let answer: (path: string, body: Record<string, unknown>, response: ServerResponse) => void
let asked: { path: string; body: Record<string, unknown> }[] = []
const realFetch = globalThis.fetch

beforeAll(async () => {
  server = createServer((request, response) => {
    let text = ''
    request.on('data', (part) => (text += part))
    request.on('end', () => {
      const path = (request.url ?? '').replace('/api/v1', '')
      const body = text ? JSON.parse(text) : {}
      asked.push({ path, body })
      answer(path, body, response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  // Pages ask by path alone.
  globalThis.fetch = (input, init) => realFetch(`${origin}${String(input)}`, init)
})
afterAll(() => {
  globalThis.fetch = realFetch
  server.close()
})

function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'Content-Type': status < 400 ? 'application/json' : 'application/problem+json', ...headers })
  response.end(JSON.stringify(body))
}

function alarmOf(id: string, steps: Partial<Step>[] = [{ step: 'received' }], more: Partial<Alarm> = {}): Alarm {
  const at = '2026-11-22T08:00:00Z'
  return {
    id, kind: 'fire', status: 'Actual', incident_id: 'i-1', number: '2026-000001', device_id: null, pressed_at: at,
    received_at: at, open: true, news: [], cancel_asked_at: null, warnings: [],
    steps: steps.map((step) => ({ by: '', eta_at: null, at, step: 'received', ...step })), ...more,
  }
}

function pressed(more: Partial<Press> = {}): Press {
  return {
    id: newId(), kind: 'fire', status: 'Actual', held: false, pressedAt: '2026-11-22T08:00:00Z', madeMs: 1, sentMs: 1,
    state: 'sending', done: false, ...more,
  }
}

let store: Store
beforeEach(async () => {
  asked = []
  language.value = 'en'
  store = new MemoryStore()
  await store.setDevice({ token: 'secret', me: null, revoked: false, aheadMs: 0 })
})

async function delivered(press: Press): Promise<{ again: boolean; press: Press }> {
  await store.add(press)
  const { again } = await deliver(store, press)
  return { again, press: (await store.presses())[0] as Press }
}

describe('one delivery', () => {
  it('is received only by a receipt of this very press', async () => {
    const press = pressed()
    answer = (_path, _body, response) => json(response, 200, alarmOf('another'))
    expect(await delivered(press)).toMatchObject({ again: true, press: { state: 'sending' } })
    answer = (_path, body, response) => json(response, 200, alarmOf(String(body.id)))
    expect(await delivered(press)).toMatchObject({ again: false, press: { state: 'received', alarm: { number: '2026-000001' } } })
    expect(new Set(asked.map(({ body }) => body.id)).size).toBe(1)
  })

  it.each([
    ['the page of a hotel', 200, 'text/html', '<p>Sign in to the network</p>'],
    ['a proxy that forbids', 403, 'text/html', 'Forbidden'],
    ['a proxy that speaks JSON', 401, 'application/json', '{"message": "no"}'],
    ['a hub that starts', 503, 'application/problem+json', '{"code": "starting"}'],
    ['a hub that has enough', 429, 'application/problem+json', '{"code": "too-many-presses"}'],
    ['half a receipt', 201, 'application/json', '{"id": "'],
  ])('goes on after %s', async (_name, status, type, text) => {
    answer = (_path, _body, response) => {
      response.writeHead(status, { 'Content-Type': type })
      response.end(text)
    }
    expect(await delivered(pressed())).toMatchObject({ again: true, press: { state: 'sending' } })
  })

  it('ends when the token counts no longer', async () => {
    answer = (_path, _body, response) => json(response, 401, { code: 'unauthenticated' })
    expect(await delivered(pressed())).toMatchObject({ again: false, press: { state: 'refused', refusal: { status: 401 } } })
    expect((await store.device())?.revoked).toBe(true)
  })

  it('takes the time of the hub when its own is refused, once', async () => {
    await store.changeDevice((device) => ({ ...device, aheadMs: -86_400_000 }))
    answer = (_path, _body, response) => json(response, 422, { code: 'invalid-alarm' })
    const { again, press } = await delivered(pressed({ pressedAt: '2036-01-01T00:00:00Z' }))
    expect([again, press.state, press.retimed]).toEqual([true, 'sending', true])
    expect(Date.parse(press.pressedAt)).toBeLessThan(Date.now())
    expect(await delivered(press)).toMatchObject({ again: false, press: { state: 'refused' } })
  })

  it('tells place and mistake after the press, each once', async () => {
    answer = (path, body, response) =>
      path === '/alarms' ? json(response, 201, alarmOf(String(body.id))) : json(response, 200, {})
    const place = { latitude: 30.2, longitude: 120.1, accuracy_m: 9, at: '2026-11-22T08:00:05Z' }
    const { press } = await delivered(pressed({ place, mistake: true }))
    expect([press.placeSent, press.mistakeSent]).toEqual([true, true])
    expect(asked.map(({ path }) => path.split('/').pop())).toEqual(['alarms', 'location', 'cancel'])
    await deliverAll(store)
    expect(asked).toHaveLength(3)
  })

  it('drops a place that the hub does not take, and keeps the alarm', async () => {
    answer = (_path, _body, response) => json(response, 422, { code: 'invalid-location' })
    const place = { latitude: 0, longitude: 0, accuracy_m: 9, at: '2026-11-22T08:00:05Z' }
    const { again, press } = await delivered(pressed({ state: 'received', alarm: alarmOf('a'), place }))
    expect([again, press.state, press.place, press.placeSent]).toEqual([false, 'received', undefined, undefined])
  })

  it('never takes a receipt back', async () => {
    const press = pressed()
    await store.add({ ...press, state: 'received', alarm: alarmOf(press.id) })
    answer = (_path, _body, response) => json(response, 409, { code: 'conflict' })
    await deliver(store, press)
    expect((await store.presses())[0]?.state).toBe('received')
  })
})

describe('the store', () => {
  it('goes on in memory once the browser refuses, and says so once', async () => {
    const broken = new MemoryStore()
    let lost = 0
    const kept = await KeptStore.open(() => Promise.resolve(broken), () => (lost += 1))
    await kept.setDevice({ token: 't', me: null, revoked: false, aheadMs: 0 })
    const first = pressed()
    await kept.add(first)
    broken.add = () => Promise.reject(new DOMException('full', 'QuotaExceededError'))
    const second = pressed()
    await kept.add(second)
    expect((await kept.presses()).map(({ id }) => id).sort()).toEqual([first.id, second.id].sort())
    expect((await kept.device())?.token).toBe('t')
    expect(lost).toBe(1)
  })

  it('does not wait for a browser that never answers', async () => {
    let lost = 0
    const kept = await KeptStore.open(() => new Promise(() => undefined), () => (lost += 1), 20)
    await kept.add(pressed())
    expect([await kept.presses(), lost]).toMatchObject([[{ state: 'sending' }], 1])
  })
})

describe('the ladder', () => {
  const received = (steps: Partial<Step>[], more: Partial<Alarm> = {}): Press =>
    pressed({ state: 'received', alarm: alarmOf('a', [{ step: 'received' }, ...steps], more) })

  it('says what is done, what it waits for, and what may come', () => {
    const list = rungs(received([{ step: 'seen', by: 'Li Wei' }, { step: 'seen', by: 'Zhao Min' }]))
    expect(list.map(({ name, state }) => `${name} ${state}`)).toEqual([
      'sending done', 'received done', 'seen done', 'coming now', 'arrived open', 'closed open',
    ])
    expect(list[2]?.text).toBe('Seen by Li Wei, Zhao Min')
  })

  it('does not wait for a step that was passed over', () => {
    const press = received([{ step: 'closed', by: 'Li Wei' }], { open: false })
    expect(rungs(press).map(({ name }) => name)).toEqual(['sending', 'received', 'closed'])
    expect(headline(press)).toBe('The alarm is closed')
  })

  it('counts minutes by the first of those who come', () => {
    const press = received([
      { step: 'coming', by: 'A', eta_at: '2026-11-22T08:09:00Z' },
      { step: 'coming', by: 'B', eta_at: '2026-11-22T08:04:30Z' },
      { step: 'coming', by: 'C' },
    ])
    expect(whenHere(press, Date.parse('2026-11-22T08:00:00Z'))).toBe('Here in about 5 min')
    expect(whenHere(press, Date.parse('2026-11-22T08:30:00Z'))).toBe('Here any moment')
    expect(whenHere(received([]), 0)).toBe('')
  })
})

describe('links', () => {
  it('are filled in as each phone wants it', () => {
    expect(callLink('+86 (571) 0000-0119')).toBe('tel:+8657100000119')
    expect(messageLink('12 00', 'Fire & smoke?', 'Linux; Android 14')).toBe('sms:1200?body=Fire%20%26%20smoke%3F')
    expect(messageLink('1200', 'x', 'iPhone; CPU iPhone OS 17_0')).toBe('sms:1200&body=x')
  })
})

describe('the remote control', () => {
  const box = (left: number, top: number): Box => ({ left, top, right: left + 10, bottom: top + 10 })

  it('goes to what lies in the direction, straight before aslant', () => {
    const right = [1, 0] as const
    expect(distance(box(0, 0), box(20, 0), right)).toBeLessThan(distance(box(0, 0), box(20, 30), right))
    expect(distance(box(0, 0), box(0, 30), right)).toBe(Infinity)
    expect(distance(box(20, 0), box(0, 0), right)).toBe(Infinity)
    // Two wide keys, one below the other and a hair further left: neither lies to the left of the other.
    const left = [-1, 0] as const
    const wide: Box = { left: 844.1, right: 1233.9, top: 363, bottom: 423 }
    const below: Box = { left: 841.8, right: 1233.9, top: 442, bottom: 511 }
    expect(distance(wide, below, left)).toBe(Infinity)
    expect(distance(wide, { left: 711, right: 834.9, top: 363, bottom: 423 }, left)).toBeLessThan(Infinity)
  })
})

describe('texts', () => {
  it('have the same holes in both languages', () => {
    const holes = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).sort()
    for (const key of Object.keys(texts.en) as (keyof typeof texts.en)[])
      expect(holes(texts['zh-CN'][key]), key).toEqual(holes(texts.en[key]))
  })

  it('are filled, and keep a hole that nobody fills', () => {
    expect(fill('{a} of {b}', { a: 1 })).toBe('1 of {b}')
  })
})

describe('ids', () => {
  it('are UUIDs, and never the same', () => {
    const ids = Array.from({ length: 200 }, newId)
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(new Set(ids).size).toBe(200)
  })
})
