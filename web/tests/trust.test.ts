import { describe, expect, it } from 'vitest'
import type { Camera, Digest, Grant, Law, ScheduleEntry } from '@/api/types'
import { timeLeft } from '@/lib/countdown'
import { byDay } from '@/lib/days'
import { factsBody, factsChange, factsOf, placesFor, reasonNeeded } from '@/lib/facts'
import { alarmConsent, lookingNow, shareOpensNext, shareOpenUntil } from '@/lib/grants'
import { daysAsRun, endOfDay, hoursFault, openUntil, opensNext } from '@/lib/hours'
import { maskFault, newMask } from '@/lib/masks'
import { isMonth, lastMonths, monthOf, shiftMonth } from '@/lib/months'
import { fromHours, toHours, unitOf } from '@/lib/retention'
import { inWords, lasted, othersAtHome, viewingsOfShared } from '@/lib/viewings'
import { weekdays } from '@/lib/zones'

// A Sunday, in whatever zone the test runs.
const sunday = (hour: number, minute = 0): Date => new Date(2026, 10, 22, hour, minute)
const daily = (from: string, to: string): ScheduleEntry => ({ days: [...weekdays], from, to })

describe('weekly hours', () => {
  it('without any are always', () => {
    expect(openUntil([], sunday(3))).toBe('always')
    expect(opensNext([], sunday(3))).toBeNull()
  })
  it('open and close at their minutes', () => {
    const hours = [daily('08:00', '18:00')]
    expect(openUntil(hours, sunday(7, 59))).toBeNull()
    expect(openUntil(hours, sunday(8))).toEqual(sunday(18))
    expect(openUntil(hours, sunday(17, 59))).toEqual(sunday(18))
    expect(openUntil(hours, sunday(18))).toBeNull()
    expect(opensNext(hours, sunday(18))).toEqual(new Date(2026, 10, 23, 8))
  })
  it('over midnight belong to the day they start on', () => {
    const hours: ScheduleEntry[] = [{ days: ['sat'], from: '22:00', to: '06:00' }]
    expect(openUntil(hours, sunday(5, 59))).toEqual(sunday(6))
    expect(openUntil(hours, sunday(6))).toBeNull()
    expect(openUntil(hours, sunday(22))).toBeNull()
    expect(opensNext(hours, sunday(6))).toEqual(new Date(2026, 10, 28, 22))
  })
  it('from a time to the same time are the whole day', () => {
    expect(openUntil([{ days: ['sun'], from: '09:00', to: '09:00' }], sunday(1))).toEqual(new Date(2026, 10, 23))
    expect(openUntil([{ days: ['mon'], from: '09:00', to: '09:00' }], sunday(10))).toBeNull()
  })
  it('of several spans the one that lasts longest counts', () => {
    expect(openUntil([daily('08:00', '12:00'), daily('09:00', '20:00')], sunday(10))).toEqual(sunday(20))
  })
  it('are told shortest', () => {
    expect(daysAsRun([...weekdays])).toBe('all')
    expect(daysAsRun(['fri', 'mon', 'tue', 'wed', 'thu'])).toEqual({ first: 'mon', last: 'fri' })
    expect(daysAsRun(['sun', 'sat'])).toEqual(['sat', 'sun'])
    expect(daysAsRun(['mon', 'wed', 'fri'])).toEqual(['mon', 'wed', 'fri'])
  })
  it('need days and times', () => {
    expect(hoursFault([{ days: [], from: '08:00', to: '09:00' }])).toBe('days')
    expect(hoursFault([{ days: ['mon'], from: '', to: '09:00' }])).toBe('times')
    expect(hoursFault([daily('08:00', '18:00')])).toBeNull()
  })
  it('a week from now ends at the end of its day', () => {
    expect(endOfDay(sunday(9).getTime(), 7)).toEqual(new Date(2026, 10, 29, 23, 59, 59))
  })
})

function grant(part: Partial<Grant>): Grant {
  return {
    id: 'g',
    camera_id: 'c',
    camera_name: 'Living room',
    household_id: 'h',
    kind: 'share',
    grantee: { id: 'a', username: 'li.wei', display_name: 'Li Wei' },
    given_by: null,
    hours: [],
    ends_at: new Date(2026, 10, 25).toISOString(),
    redacted: true,
    on_detection: false,
    reason: '',
    created_at: '',
    state: 'live',
    ended_at: null,
    open_now: true,
    answering: [],
    ...part,
  }
}

describe('who may look now', () => {
  const now = sunday(12).getTime()
  it('is nobody without a grant', () => {
    expect(lookingNow([], now)).toEqual([{ kind: 'nobody' }])
  })
  it('is a named person until the hours or the grant end, whichever is first', () => {
    expect(shareOpenUntil(grant({}), now)).toBe(new Date(2026, 10, 25).getTime())
    const hours = [daily('08:00', '18:00')]
    expect(lookingNow([grant({ hours })], now)).toEqual([{ kind: 'share', name: 'Li Wei', until: sunday(18).getTime() }])
    expect(shareOpenUntil(grant({ hours, ends_at: sunday(15).toISOString() }), now)).toBe(sunday(15).getTime())
  })
  it('is nobody when the hub says that it is not open, or it has ended', () => {
    expect(lookingNow([grant({ open_now: false })], now)).toEqual([{ kind: 'nobody' }])
    expect(lookingNow([grant({ state: 'ended' })], now)).toEqual([{ kind: 'nobody' }])
    expect(lookingNow([grant({ ends_at: sunday(12).toISOString() })], now)).toEqual([{ kind: 'nobody' }])
  })
  it('is duty staff only while an alarm has opened the camera', () => {
    const consent = grant({ kind: 'alarm', grantee: null, ends_at: null, open_now: false })
    expect(lookingNow([consent], now)).toEqual([{ kind: 'nobody' }])
    expect(alarmConsent([consent])).toBe(consent)
    const answering = [{ id: 'b', username: 'duty', display_name: 'Duty desk' }]
    expect(lookingNow([{ ...consent, open_now: true, answering }], now)).toEqual([{ kind: 'alarm', names: ['Duty desk'] }])
  })
  it('says when a closed share opens next, but not after its end', () => {
    const closed = grant({ hours: [daily('20:00', '21:00')], open_now: false })
    expect(shareOpensNext(closed, now)).toEqual(sunday(20))
    expect(shareOpensNext({ ...closed, ends_at: sunday(19).toISOString() }, now)).toBeNull()
  })
})

describe('months', () => {
  it('go over the turn of the year', () => {
    expect(shiftMonth('2026-01', -1)).toBe('2025-12')
    expect(shiftMonth('2026-12', 1)).toBe('2027-01')
    expect(lastMonths(new Date(2026, 1, 28), 3)).toEqual(['2026-02', '2026-01', '2025-12'])
    expect(monthOf(new Date(2026, 8, 30))).toBe('2026-09')
  })
  it('are told from other texts', () => {
    expect(isMonth('2026-11')).toBe(true)
    expect(isMonth('2026-13')).toBe(false)
    expect(isMonth('2026-1')).toBe(false)
  })
})

describe('viewings', () => {
  it('are told in the largest fitting unit', () => {
    expect(inWords(0.2)).toEqual({ unit: 'seconds', n: 1 })
    expect(inWords(89)).toEqual({ unit: 'seconds', n: 89 })
    expect(inWords(180)).toEqual({ unit: 'minutes', n: 3 })
    expect(inWords(5400)).toEqual({ unit: 'hours', n: 1.5 })
  })
  it('last until now while they run, and not at all for a picture', () => {
    const started_at = sunday(12).toISOString()
    expect(lasted({ kind: 'live', started_at, ended_at: null }, sunday(12, 3).getTime())).toEqual({ unit: 'minutes', n: 3 })
    expect(lasted({ kind: 'snapshot', started_at, ended_at: started_at }, sunday(13).getTime())).toBeNull()
  })
  it('of a month are those of others at home, and all of the shared cameras', () => {
    const camera = { camera_id: 'c', name: '', seconds: 0, by_purpose: {} }
    const cameras: Digest['cameras'] = [
      { ...camera, place_kind: 'home', viewings: 5, by_role: { household: 3, guest: 2 } },
      { ...camera, place_kind: 'shared_space', viewings: 7, by_role: { supervisor: 7 } },
    ]
    expect(othersAtHome({ cameras })).toBe(2)
    expect(viewingsOfShared({ cameras })).toBe(7)
  })
  it('are cut into days in the order they come', () => {
    const items = [sunday(9), sunday(8), new Date(2026, 10, 21, 23)].map((date) => ({ at: date.toISOString() }))
    expect(byDay(items, ({ at }) => at).map(({ day, items: list }) => [day, list.length])).toEqual([
      ['2026-11-22', 2],
      ['2026-11-21', 1],
    ])
  })
})

describe('retention', () => {
  it('is told in days when it is whole days', () => {
    expect(unitOf(720)).toBe('days')
    expect(unitOf(24)).toBe('hours')
    expect(unitOf(50)).toBe('hours')
    expect(toHours(30, 'days')).toBe(720)
    expect(fromHours(720, 'days')).toBe(30)
    expect(fromHours(36, 'hours')).toBe(36)
  })
})

describe('what a camera says of its place', () => {
  const place = { title: { en: '', 'zh-CN': '' }, forbidden_by: '', signage: false, min_h: 720, default_h: 720, justify_above_h: 720, max_h: null }
  const law = {
    places: [
      { ...place, key: 'toilet', kinds: [], forbidden: true, forbidden_by: 'HUB-1' },
      { ...place, key: 'street', kinds: ['public_space'], forbidden: false },
      { ...place, key: 'lift', kinds: ['shared_space'], forbidden: false },
    ],
  } as unknown as Law
  it('offers the places of its kind first and the forbidden ones after them', () => {
    expect(placesFor(law, 'shared_space').map(({ key }) => key)).toEqual(['lift', 'toilet'])
  })
  it('needs a reason above the usual time only', () => {
    expect(reasonNeeded(law.places[1], 720)).toBe(false)
    expect(reasonNeeded(law.places[1], 721)).toBe(true)
    expect(reasonNeeded(undefined, 9999)).toBe(false)
  })
  it('sends only what was changed, and no household for a place that is no home', () => {
    const before = { ...factsOf(null), place_kind: 'home', household_id: 'h' } as unknown as Camera
    const form = { ...factsOf(before), purpose: ' safety ' }
    expect(factsChange(form, before, 'home')).toEqual({ purpose: 'safety' })
    expect(factsBody(form, 'shared_space').household_id).toBeNull()
    expect(factsBody({ ...form, residents_may_watch: true }, 'public_space').residents_may_watch).toBe(false)
  })
})

describe('masks', () => {
  it('need a name and an area', () => {
    expect(maskFault(newMask('Window'))).toBeNull()
    expect(maskFault(newMask(' '))).toBe('name')
    expect(maskFault({ name: 'Window', polygon: [[0, 0], [1, 1]] })).toBe('few')
  })
})

describe('what is left of an export', () => {
  it('is told in days, hours, minutes, and then is over', () => {
    const now = sunday(12).getTime()
    const after = (minutes: number): string => new Date(now + minutes * 60_000).toISOString()
    expect(timeLeft(after(3 * 24 * 60), now)).toEqual({ unit: 'days', n: 3 })
    expect(timeLeft(after(47 * 60), now)).toEqual({ unit: 'hours', n: 47 })
    expect(timeLeft(after(0.5), now)).toEqual({ unit: 'minutes', n: 1 })
    expect(timeLeft(after(0), now)).toBeNull()
  })
})
