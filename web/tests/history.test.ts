import { describe, expect, it } from 'vitest'
import type { LogEntry } from '@/api/types'
import { historyLines } from '@/lib/history'

const entry = (id: number, action: string): LogEntry =>
  ({ id, action, at: `2026-11-22T08:00:${String(id).padStart(2, '0')}Z` }) as LogEntry

describe('historyLines', () => {
  it('tells runs of further signals in one line and keeps every step of people', () => {
    const log = [
      entry(5, 'note'),
      entry(1, 'opened'),
      entry(2, 'joined'),
      entry(3, 'continuing'),
      entry(4, 'ended'),
      entry(6, 'joined'),
    ]
    expect(historyLines(log).map(({ entry: { action }, count, until }) => [action, count, until.slice(17, 19)])).toEqual([
      ['opened', 1, '01'],
      ['joined', 3, '04'],
      ['note', 1, '05'],
      ['joined', 1, '06'],
    ])
  })
})
