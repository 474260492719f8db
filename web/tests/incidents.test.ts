import { describe, expect, it } from 'vitest'
import type { Incident } from '@/api/types'
import { byUrgency, isOpen, isWaiting, newer, newCalls, ringsOn } from '@/lib/incidents'

function incident(part: Partial<Incident>): Incident {
  return {
    id: 'a',
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
