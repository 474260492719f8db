import { describe, expect, it } from 'vitest'
import type { Incident } from '@/api/types'
import { byUrgency, isOpen, isWaiting, mergeable, newer, newCalls, ringsOn } from '@/lib/incidents'

function incident(part: Partial<Incident>): Incident {
  return {
    id: 'a',
    kind: 'intrusion',
    status: 'actual',
    severity: 'severe',
    state: 'reported',
    version: 1,
    opened_at: '2026-11-22T08:00:00Z',
    last_signal_at: '2026-11-22T08:00:00Z',
    acknowledged_at: null,
    escalations: 0,
    ...part,
  } as Incident
}

describe('the order of the queue', () => {
  it('is most severe first, then newest', () => {
    const list = [
      incident({ id: 'old minor', severity: 'minor', opened_at: '2026-11-22T07:00:00Z' }),
      incident({ id: 'old severe', opened_at: '2026-11-22T07:00:00Z' }),
      incident({ id: 'new severe', opened_at: '2026-11-22T07:00:01Z' }),
      incident({ id: 'extreme', severity: 'extreme', opened_at: '2026-11-22T06:00:00Z' }),
    ]
    expect(list.sort(byUrgency).map(({ id }) => id)).toEqual(['extreme', 'new severe', 'old severe', 'old minor'])
  })
})

describe('alarms of residents in a flood', () => {
  it('come before a thousand newer camera alerts of the same severity, and drills do not', () => {
    const flood = Array.from({ length: 1000 }, (_, n) =>
      incident({ id: `camera ${n}`, kind: 'person_down', severity: 'extreme', opened_at: new Date(1_800_000_000_000 + n).toISOString() }),
    )
    const drill = incident({ id: 'drill', kind: 'alarm_fire', severity: 'extreme', status: 'exercise', opened_at: '2020-01-01T00:00:00Z' })
    const fire = incident({ id: 'fire', kind: 'alarm_fire', severity: 'extreme', opened_at: '2020-01-01T00:00:00Z' })
    const order = [...flood, drill, fire].sort(byUrgency).map(({ id }) => id)
    expect(order[0]).toBe('fire')
    expect(order.at(-1)).toBe('drill')
  })

  it('stay below what is active while suspended', () => {
    const list = [incident({ id: 'rests', severity: 'extreme', state: 'suspended' }), incident({ id: 'minor', severity: 'minor' })]
    expect(list.sort(byUrgency).map(({ id }) => id)).toEqual(['minor', 'rests'])
  })
})

describe('mergeable', () => {
  it('offers what is near in place, the nearest in time first, and never another household’s alarm', () => {
    const one = incident({ id: 'one', kind: 'alarm_fire', area: 'town/estate', household_id: 'h1', opened_at: '2026-11-22T08:00:00Z' })
    const others = [
      incident({ id: 'late', area: 'town/estate', opened_at: '2026-11-22T09:00:00Z' }),
      incident({ id: 'near', area: 'town/estate/cell', opened_at: '2026-11-22T08:01:00Z' }),
      incident({ id: 'far', area: 'town/elsewhere' }),
      incident({ id: 'neighbour', kind: 'alarm_fire', area: 'town/estate', household_id: 'h2' }),
      incident({ id: 'again', kind: 'alarm_fire', area: 'town/estate', household_id: 'h1', opened_at: '2026-11-22T08:10:00Z' }),
    ]
    expect(mergeable(one, [one, ...others]).map(({ id }) => id)).toEqual(['near', 'again', 'late'])
  })
})

describe('newer', () => {
  it('does not let a late event undo an answer', () => {
    const answer = incident({ version: 3, acknowledged_at: '2026-11-22T08:01:00Z' })
    expect(newer(answer, incident({ version: 2 }))).toBe(answer)
  })

  it('takes a newer signal of the same version', () => {
    const known = incident({ signal_count: 1 })
    const arrived = incident({ signal_count: 2, last_signal_at: '2026-11-22T08:00:05Z' })
    expect(newer(known, arrived).signal_count).toBe(2)
    expect(newer(arrived, known)).toBe(arrived)
  })

  it('keeps the history that an event does not carry', () => {
    const log = [{ id: 1 }] as unknown as Incident['log']
    expect(newer(incident({ log }), incident({ version: 2 })).log).toBe(log)
  })
})

describe('alarms', () => {
  it('ring on while grave and unacknowledged only', () => {
    expect(ringsOn(incident({}))).toBe(true)
    expect(ringsOn(incident({ status: 'exercise' }))).toBe(true)
    expect(ringsOn(incident({ status: 'test' }))).toBe(false)
    expect(ringsOn(incident({ severity: 'moderate' }))).toBe(false)
    expect(ringsOn(incident({ acknowledged_at: '2026-11-22T08:01:00Z' }))).toBe(false)
    expect(ringsOn(incident({ state: 'closed' }))).toBe(false)
  })

  it('call once for a new incident and once more for each escalation', () => {
    const calls = new Map<string, number>()
    expect(newCalls([incident({})], calls)).toHaveLength(1)
    expect(newCalls([incident({ version: 2 })], calls)).toHaveLength(0)
    expect(newCalls([incident({ escalations: 1 })], calls)).toHaveLength(1)
    expect(newCalls([incident({ escalations: 2, acknowledged_at: '2026-11-22T08:01:00Z' })], calls)).toHaveLength(0)
  })
})

describe('open and waiting', () => {
  it('end with the incident', () => {
    for (const state of ['closed', 'archived', 'merged', 'rejected'] as const) {
      expect(isOpen({ state })).toBe(false)
      expect(isWaiting(incident({ state }))).toBe(false)
    }
    expect(isOpen({ state: 'suspended' })).toBe(true)
  })
})
