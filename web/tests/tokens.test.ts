import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { expiry, localDay } from '@/lib/expiry'
import { scopes } from '@/lib/scopes'

describe('the scopes offered for a token', () => {
  // What presses an alarm is bound to a household by pairing, never by a token made here.
  it('are those the hub knows, without those of alarm devices', () => {
    const service = readFileSync(new URL('../../access/policy/actions.py', import.meta.url), 'utf8')
    const known = /^SCOPES\b[^{]*\{([^}]*)\}/m.exec(service)?.[1] ?? ''
    const names = [...known.matchAll(/"([\w.]+)"/g)].map((match) => match[1])
    expect(names.length).toBeGreaterThan(0)
    const offered = names.filter((name) => !name?.startsWith('alarm.'))
    expect([...scopes].sort()).toEqual(offered.sort())
  })
})

describe('the expiry of a token', () => {
  const now = Date.parse('2026-11-22T08:00:00Z')
  it('is so many days away, or never', () => {
    expect(expiry('30', '', now)).toBe('2026-12-22T08:00:00.000Z')
    expect(expiry('never', '', now)).toBeNull()
  })
  it('leaves the whole of a chosen day', () => {
    const today = localDay(now)
    const end = expiry('day', today, now) ?? ''
    expect(Date.parse(end)).toBeGreaterThan(now)
    expect(localDay(Date.parse(end))).toBe(today)
    expect(localDay(Date.parse(end) + 1000)).not.toBe(today)
  })
})
