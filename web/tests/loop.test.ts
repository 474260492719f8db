import { describe, expect, it } from 'vitest'
import type { Delivery } from '@/api/loop'
import type { Incident, LogEntry } from '@/api/types'
import { rungs } from '@/lib/ladder'
import { fits, type Filters } from '@/lib/queue'
import { mapAddress } from '@/lib/place'
import { countdown, stepLines, waitingFor } from '@/lib/steps'
import { newestAttempts } from '@/lib/told'

const entry = (id: number, action: string, part: Partial<LogEntry> = {}): LogEntry =>
  ({
    id,
    action,
    at: `2026-11-22T08:00:${String(id).padStart(2, '0')}Z`,
    actor: { id: 'p', display_name: 'Li Wei' },
    from_state: null,
    to_state: null,
    note: '',
    data: {},
    ...part,
  }) as LogEntry

const incident = (part: Partial<Incident> = {}): Incident =>
  ({
    id: 'a',
    kind: 'alarm_fire',
    status: 'actual',
    severity: 'extreme',
    state: 'reported',
    area: 'town/riverside/estate',
    opened_at: '2026-11-22T08:00:00Z',
    acknowledged_at: null,
    acknowledged_by: null,
    closed_at: null,
    handler: null,
    log: [],
    ...part,
  }) as Incident

describe('the six steps', () => {
  it('name what is waited for in every state', () => {
    expect(waitingFor(incident())).toBe('acknowledge')
    expect(waitingFor(incident({ acknowledged_at: 'x' }))).toBe('dispatch')
    expect(waitingFor(incident({ state: 'handling' }))).toBe('going')
    expect(waitingFor(incident({ state: 'handling', progress: 'done' }))).toBe('feedback')
    expect(waitingFor(incident({ state: 'feedback' }))).toBe('verify')
  })

  it('say which were done, by whom, which were left out, and which come', () => {
    const lines = stepLines(
      incident({ state: 'feedback', acknowledged_at: 'x', log: [entry(1, 'opened', { to_state: 'reported' }), entry(2, 'handle', { to_state: 'handling' }), entry(3, 'feedback', { to_state: 'feedback' })] }),
    )
    expect(lines.map(({ state }) => state)).toEqual(['done', 'skipped', 'done', 'done', 'now', 'later'])
    expect(lines[2]).toMatchObject({ by: 'Li Wei', at: '2026-11-22T08:00:02Z' })
  })

  it('count down to the second, and up once it is late', () => {
    const at = Date.parse('2026-11-22T08:00:00Z')
    expect(countdown('2026-11-22T08:04:05Z', at)).toEqual({ late: false, days: 0, clock: '4:05' })
    expect(countdown('2026-11-22T07:58:30Z', at)).toEqual({ late: true, days: 0, clock: '1:30' })
    expect(countdown('2026-11-25T10:00:00Z', at)).toEqual({ late: false, days: 3, clock: '2:00:00' })
  })
})

describe('the ring ladder', () => {
  const policy = {
    steps: [
      { after_s: 0, targets: ['duty'], channels: ['push'], whistle: false },
      { after_s: 30, targets: ['supervisor+1'], channels: ['sms'], whistle: true },
    ],
  }
  it('says which step rang and when the next will', () => {
    const rang = entry(1, 'rang', { data: { step: 0, told: [{ name: 'Duty desk', kind: 'account' }], more: 2 } })
    const [first, second] = rungs(incident({ policy, log: [rang], ring_from: '2026-11-22T08:00:00Z' }))
    expect(first).toMatchObject({ rangAt: rang.at, told: ['Duty desk'], more: 2, dueAt: null })
    expect(second).toMatchObject({ rangAt: null, dueAt: '2026-11-22T08:00:30.000Z' })
  })

  it('promises nothing more once somebody acknowledged, and forgets the rings of an earlier round', () => {
    const rang = entry(1, 'rang', { data: { step: 0 } })
    const lines = rungs(incident({ policy, log: [rang], acknowledged_at: 'x', ring_from: '2026-11-22T09:00:00Z' }))
    expect(lines.map(({ rangAt, dueAt }) => [rangAt, dueAt])).toEqual([
      [null, null],
      [null, null],
    ])
  })
})

describe('who was told', () => {
  const delivery = (part: Partial<Delivery>): Delivery =>
    ({ recipient_kind: 'account', recipient_id: 'p', recipient_name: 'Li Wei', channel: 'sms', purpose: 'alert', round_key: '0', attempt: 1, state: 'sent', created_at: '2026-11-22T08:00:00Z', ...part }) as Delivery

  it('keeps the newest attempt of each way and names first whom nothing reached', () => {
    const told = newestAttempts([
      delivery({ id: '1', attempt: 1, state: 'failed' }),
      delivery({ id: '2', attempt: 2, state: 'sent', created_at: '2026-11-22T08:00:10Z' }),
      delivery({ id: '3', recipient_id: 'q', recipient_name: 'Wang', state: 'given_up' }),
      delivery({ id: '4', recipient_id: 'r', recipient_name: 'Test', state: 'withheld', code: 'exercise' }),
      delivery({ id: '5', recipient_id: 's', recipient_name: 'Desk', state: 'withheld', code: 'no-address' }),
      delivery({ id: '6', recipient_id: 't', recipient_name: 'Neighbour', recipient_kind: 'contact', state: 'withheld', code: 'no-address' }),
    ])
    expect(told.map(({ name, reached }) => [name, reached])).toEqual([
      ['Wang', 'no'],
      ['Neighbour', 'no'],
      ['Desk', 'console'],
      ['Li Wei', 'yes'],
      ['Test', 'yes'],
    ])
    expect(told[3]?.ways).toMatchObject([{ attempts: 2, last: { id: '2' } }])
  })
})

describe('the filters of the queue', () => {
  const every: Filters = { severity: 'any', whose: 'anybody', step: 'any', kind: 'any' }
  const self = { id: 'me', departments: new Set(['d']) }
  it('know alarms, own work and the department’s', () => {
    expect(fits(incident(), { ...every, kind: 'alarms' }, self)).toBe(true)
    expect(fits(incident({ kind: 'intrusion' }), { ...every, kind: 'alarms' }, self)).toBe(false)
    expect(fits(incident({ assignee: { id: 'me', display_name: 'Me' } }), { ...every, whose: 'mine' }, self)).toBe(true)
    expect(fits(incident(), { ...every, whose: 'mine' }, self)).toBe(false)
    expect(fits(incident({ department: { id: 'd', name: 'Roads' } }), { ...every, whose: 'department' }, self)).toBe(true)
    expect(fits(incident({ state: 'handling' }), { ...every, step: 'reported' }, self)).toBe(false)
  })
})

describe('the address for a map', () => {
  it('is a geo address with the place’s name, and none without a location', () => {
    expect(mapAddress({ latitude: 30.5, longitude: 114.25 }, 'Fire: flat 1')).toBe(
      'geo:30.500000,114.250000?q=30.500000,114.250000(Fire%3A%20flat%201)',
    )
    expect(mapAddress(null, 'x')).toBeNull()
  })
})
