import { describe, expect, it } from 'vitest'
import { nextRate, PlayClock } from '../src/lib/playback/clock'
import { keyStep, type PlaybackKeys } from '../src/lib/playback/keys'
import { framesOf } from '../src/lib/playback/parts'
import { frameBeside, nextFetch, ordered, pieceAt, reaches, type Chunk } from '../src/lib/playback/plan'
import { around, follow, LEAST, place, shown, ticks, zoom } from '../src/lib/playback/timeline'
import { clockText, dayBounds, dayOf, exactly, fromInput, shiftDay, toInput, zoneOffset } from '../src/lib/playback/zone'
import { sortedUse } from '../src/lib/storage'
import { bytesText } from '../src/lib/bytes'
import { part } from './support/cinema'

const T = Date.parse('2026-11-22T04:00:00Z')
const MINUTE = 60_000
const HOUR = 60 * MINUTE

describe('days of the site', () => {
  it('begin at its midnight and are as long as its clocks say', () => {
    expect(dayBounds('2026-11-22', 'Asia/Shanghai')).toEqual({ from: T - 12 * HOUR, to: T + 12 * HOUR })
    const spring = dayBounds('2026-03-29', 'Europe/Berlin')
    expect(spring.to - spring.from).toBe(23 * HOUR)
    const autumn = dayBounds('2026-10-25', 'Europe/Berlin')
    expect(autumn.to - autumn.from).toBe(25 * HOUR)
    expect(dayOf(T, 'America/Los_Angeles')).toBe('2026-11-21')
    expect(shiftDay('2026-03-01', -1)).toBe('2026-02-28')
  })
  it('take and give times of day as the wall clock there shows them', () => {
    expect(clockText(T + 1500, 'Asia/Kathmandu')).toBe('09:45:01')
    expect(zoneOffset(T, 'Asia/Kathmandu')).toBe(5.75 * HOUR)
    expect(fromInput(toInput(T, 'Asia/Shanghai'), 'Asia/Shanghai')).toBe(T)
    expect(fromInput('2026-11-22T12:00', 'Asia/Shanghai')).toBe(T)
    expect(fromInput('', 'Asia/Shanghai')).toBeNull()
    // An hour that the clocks skip: the moment at which they do.
    expect(fromInput('2026-03-29T02:30:00', 'Europe/Berlin')).toBe(Date.parse('2026-03-29T01:30:00Z'))
  })
  it('keep microseconds', () => {
    expect(exactly('2026-11-22T04:00:00.123456+00:00')).toBeCloseTo(T + 123.456, 3)
    expect(exactly('2026-11-22T04:00:00+00:00')).toBe(T)
  })
})

describe('the timeline', () => {
  const bounds = { from: T, to: T + 24 * HOUR }
  it('zooms around the pointer and stays within the day', () => {
    const at = T + 6 * HOUR
    const near = zoom(bounds, bounds, 0.5, at)
    expect(place(near, at)).toBeCloseTo(place(bounds, at), 6)
    expect(zoom(near, bounds, 100, at)).toEqual(bounds)
    expect(zoom(bounds, bounds, 1e-9, at).to - zoom(bounds, bounds, 1e-9, at).from).toBe(LEAST)
    expect(around(bounds, HOUR, T)).toEqual({ from: T, to: T + HOUR })
  })
  it('follows what is played', () => {
    const view = { from: T, to: T + HOUR }
    expect(follow(view, bounds, T + MINUTE)).toBe(view)
    const moved = follow(view, bounds, T + HOUR + 1)
    expect(moved.from).toBeLessThan(T + HOUR + 1)
    expect(moved.to).toBeGreaterThan(T + HOUR + 1)
  })
  it('writes round times of the zone', () => {
    const labels = ticks({ from: T + 7 * MINUTE, to: T + 67 * MINUTE }, 'Asia/Kathmandu', 700).map(({ label }) => label)
    expect(labels).toEqual(['10:00', '10:10', '10:20', '10:30', '10:40', '10:50'].filter((label) => labels.includes(label)))
    expect(labels.length).toBeGreaterThan(4)
  })
  it('draws crumbs as one and leaves out what is elsewhere', () => {
    const crumbs = Array.from({ length: 100 }, (_, n) => ({ from: T + n * 1000, to: T + n * 1000 + 500 }))
    expect(shown(crumbs, bounds, 1000)).toHaveLength(1)
    expect(shown(crumbs, { from: T, to: T + 100_000 }, 1000)).toHaveLength(100)
    expect(shown(crumbs, { from: T + HOUR, to: T + 2 * HOUR }, 1000)).toHaveLength(0)
  })
})

describe('the clock', () => {
  it('passes at its speed, and stands while it is held or paused', () => {
    const clock = new PlayClock(T)
    expect(clock.at(1000)).toBe(T)
    clock.play(1000)
    clock.setRate(4, 2000)
    expect(clock.at(3000)).toBe(T + 5000)
    clock.hold(true, 3000)
    expect(clock.at(9000)).toBe(T + 5000)
    clock.hold(false, 9000)
    clock.pause(9500)
    expect(clock.at(20_000)).toBe(T + 7000)
    clock.seek(T, 20_000)
    expect(clock.at(30_000)).toBe(T)
  })
  it('has seven speeds', () => {
    expect(nextRate(1, 1)).toBe(2)
    expect(nextRate(16, 1)).toBe(16)
    expect(nextRate(0.25, -1)).toBe(0.25)
  })
})

describe('what is fetched', () => {
  const pieces = ordered([
    { id: 'b', from: T + MINUTE + 40, to: T + 2 * MINUTE },
    { id: 'a', from: T, to: T + MINUTE },
    { id: 'c', from: T + HOUR, to: T + HOUR + MINUTE },
    { id: 'a', from: T, to: T + MINUTE },
  ])
  const chunk = (piece: string, from: number, to: number, last: boolean): Chunk => ({ piece, from, to, next: `after ${to}`, last })
  it('begins small, with a keyframe, where somebody goes', () => {
    const wanted = nextFetch(pieces, [], T + 30_000, 10_000, T + 24 * HOUR)
    expect(wanted).toMatchObject({ piece: 'a', keyframe: true, from: '2026-11-22T04:00:30.000Z', to: '2026-11-22T04:00:32.000Z' })
    expect(nextFetch(pieces, [], T + 30 * MINUTE, 10_000, T + 24 * HOUR)).toBeNull()
  })
  it('goes on where the hub said, and on to the next file, but not over a gap', () => {
    const first = chunk('a', T, T + 20_000, false)
    expect(nextFetch(pieces, [first], T + 1000, 10_000, T + HOUR)).toBeNull()
    expect(nextFetch(pieces, [first], T + 15_000, 10_000, T + HOUR)).toMatchObject({ piece: 'a', from: first.next, keyframe: false })
    const all = chunk('a', T, T + MINUTE, true)
    expect(nextFetch(pieces, [all], T + 55_000, 10_000, T + HOUR)).toMatchObject({ piece: 'b', keyframe: true })
    const before = [all, chunk('b', T + MINUTE + 40, T + 2 * MINUTE, true)]
    expect(nextFetch(pieces, before, T + 2 * MINUTE - 1000, 10_000, T + HOUR)).toBeNull()
  })
  it('never asks beyond the playback', () => {
    const wanted = nextFetch(pieces, [chunk('a', T, T + 20_000, false)], T + 19_000, 60_000, T + 30_000)
    expect(wanted?.to).toBe(new Date(T + 30_000).toISOString())
  })
  it('knows what is in the buffer', () => {
    expect(pieceAt(pieces, T + MINUTE)).toBeUndefined()
    expect(pieceAt(pieces, T + MINUTE - 1)?.id).toBe('a')
    const chunks = [chunk('a', T + 10_000, T + MINUTE, true)]
    expect(reaches(chunks, T + 9000)).toBe(false)
    expect(reaches(chunks, T + MINUTE + 40)).toBe(true)
    expect(reaches(chunks, T + 2 * MINUTE)).toBe(false)
  })
  it('finds the frame beside the one on screen', () => {
    const frames = [1, 1.04, 1.08]
    expect(frameBeside(frames, 1.041, 1)).toBe(1.08)
    expect(frameBeside(frames, 1.041, -1)).toBe(1)
    expect(frameBeside(frames, 1.09, 1)).toBeNull()
  })
})

it('times of frames are read out of parts, in the order in which they are shown', () => {
  const bytes = new Uint8Array([...part(90_000, [[3600, true, 3600], [3600, false, 10_800], [3600, false, 0]]), ...part(100_800, [[3600, true, 0]])])
  const { shown: times, keyframes } = framesOf(bytes.buffer)
  expect(times).toEqual([1.04, 1.08, 1.12, 1.16])
  expect(keyframes).toEqual([1.04, 1.12])
  const heard = new Uint8Array([...bytes, ...part(48_000, [[1024, true, 0]], 2)])
  expect(framesOf(heard.buffer)).toEqual(framesOf(bytes.buffer))
  expect(framesOf(bytes.slice(0, 60).buffer).shown).toEqual([])
})

it('keys do what the help says, and leave a button its space bar', () => {
  const did: string[] = []
  const keys: PlaybackKeys = {
    toggle: () => did.push('toggle'),
    pause: () => did.push('pause'),
    faster: () => did.push('faster'),
    jump: (by) => did.push(`jump ${by}`),
    frame: (step) => did.push(`frame ${step}`),
    edge: (end) => did.push(`edge ${end}`),
    nearer: (factor) => did.push(`nearer ${factor}`),
    mark: (end) => did.push(`mark ${end}`),
    sound: () => did.push('sound'),
    help: () => did.push('help'),
  }
  const press = (key: string, shiftKey = false, button = false): void => keyStep({ key, shiftKey }, button, keys)?.()
  for (const key of [' ', 'J', 'k', 'l', ',', '.', 'ArrowLeft', 'End', '+', 'i', 'M', 'x']) press(key)
  press('ArrowRight', true)
  press(' ', false, true)
  expect(did).toEqual([
    'toggle', 'jump -10000', 'pause', 'faster', 'frame -1', 'frame 1', 'jump -5000', 'edge true', 'nearer 0.5', 'mark false', 'sound', 'jump 60000',
  ]) // prettier-ignore
})

it('storage is sorted by what is pressed, and sizes are written as on disks', () => {
  const use = (name: string, bytes: number, retention_h: number | null): Parameters<typeof sortedUse>[0][number] => ({
    camera_id: name, name, bytes, per_day: 0, retention_h, oldest_at: null, locked_bytes: 0,
  }) // prettier-ignore
  const rows = [use('Gate 10', 5, null), use('Gate 9', 5, 24), use('Yard', 9, 720)]
  const names = (by: Parameters<typeof sortedUse>[1], down: boolean): string[] => sortedUse(rows, by, down).map(({ name }) => name)
  expect(names('bytes', true)).toEqual(['Yard', 'Gate 9', 'Gate 10'])
  expect(names('name', false)).toEqual(['Gate 9', 'Gate 10', 'Yard'])
  expect(names('retention_h', false)).toEqual(['Gate 9', 'Yard', 'Gate 10'])
  expect(bytesText(1_234_000_000, 'en')).toBe('1.2 GB')
  expect(bytesText(0, 'en')).toBe('0 byte')
})
