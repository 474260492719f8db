import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Encoder, Found } from '@/api/devices'
import type { Camera } from '@/api/types'
import { areasOf, asTable, matching, planText, within } from '@/lib/cameraTable'
import { hostOf, inTurns, proposedNames, rangesOf, wrongRange } from '@/lib/discover'
import { codecsOf, encoderChange, encoderForm, isSub, keyframeSeconds, ratesOf, sizesOf } from '@/lib/encoders'
import { metresFrom, moved, pair, positionFault, roundLength, viewOf, wedge } from '@/lib/geo'
import { Mover, speedOf, type Direction } from '@/lib/mover'
import { planBody, planFault, planForm, samePlan, withMode } from '@/lib/recordingPlan'

type Told = { op: string; pan?: number; tilt?: number; zoom?: number }

describe('what is held moves the camera', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  function mover(answer: (told: Told) => Promise<unknown> = () => Promise.resolve()) {
    const told: Told[] = []
    const failed: unknown[] = []
    const made = new Mover(
      (command) => {
        told.push(command)
        return answer(command)
      },
      { moving: () => undefined, failed: (error) => failed.push(error) },
    )
    return { made, told, failed, ops: () => told.map(({ op }) => op) }
  }

  it('at once, again while it is held, and stops when it is let go', async () => {
    const { made, told, ops } = mover()
    made.hold('right')
    await vi.advanceTimersByTimeAsync(1700)
    expect(ops()).toEqual(['move', 'move', 'move'])
    expect(told[0]).toEqual({ op: 'move', pan: 0.5, tilt: 0, zoom: 0 })
    made.release('right')
    await vi.advanceTimersByTimeAsync(5000)
    expect(ops()).toEqual(['move', 'move', 'move', 'stop'])
    expect(made.moving).toBe(false)
  })
  it('in both directions that are held, and in none when they cancel out', async () => {
    const { made, told, ops } = mover()
    made.hold('right')
    await vi.advanceTimersByTimeAsync(1)
    made.hold('up')
    await vi.advanceTimersByTimeAsync(1)
    expect(told.at(-1)).toEqual({ op: 'move', pan: 0.5, tilt: 0.5, zoom: 0 })
    made.release('up')
    await vi.advanceTimersByTimeAsync(1)
    expect(told.at(-1)).toEqual({ op: 'move', pan: 0.5, tilt: 0, zoom: 0 })
    made.hold('left')
    await vi.advanceTimersByTimeAsync(3000)
    expect(ops().at(-1)).toBe('stop')
    expect(ops().filter((op) => op === 'stop')).toHaveLength(1)
  })
  it('never with two moves on the way, and the newest direction goes out last', async () => {
    let let_go: () => void = () => undefined
    const { made, told } = mover(({ op }) => (op === 'move' ? new Promise<void>((done) => (let_go = done)) : Promise.resolve()))
    made.hold('right')
    made.release('right')
    made.hold('left')
    expect(told.map(({ op }) => op)).toEqual(['move', 'stop'])
    let_go()
    await vi.advanceTimersByTimeAsync(1)
    expect(told.at(-1)).toMatchObject({ op: 'move', pan: -0.5 })
    made.stop()
    let_go()
    await vi.advanceTimersByTimeAsync(1)
  })
  it('is stopped again when a move may have been overtaken by the stop', async () => {
    let let_go: () => void = () => undefined
    const { made, ops } = mover(({ op }) => (op === 'move' ? new Promise<void>((done) => (let_go = done)) : Promise.resolve()))
    made.hold('in')
    made.release('in')
    expect(ops()).toEqual(['move', 'stop'])
    let_go()
    await vi.advanceTimersByTimeAsync(1)
    expect(ops()).toEqual(['move', 'stop', 'stop'])
  })
  it('ends with the first failure, which is told', async () => {
    const { made, ops, failed } = mover(({ op }) => (op === 'move' ? Promise.reject(new Error('away')) : Promise.resolve()))
    made.hold('down')
    await vi.advanceTimersByTimeAsync(5000)
    expect(ops()).toEqual(['move', 'stop'])
    expect(failed).toHaveLength(1)
    expect(made.moving).toBe(false)
  })
  it('says stop without having moved only when asked to', () => {
    const { made, ops } = mover()
    made.stop()
    expect(ops()).toEqual([])
    made.stop(true)
    expect(ops()).toEqual(['stop'])
  })
  it('adds directions up', () => {
    expect(speedOf(new Set<Direction>(['left', 'down', 'out']), 1)).toEqual({ pan: -1, tilt: -1, zoom: -1 })
  })
})

describe('what a search found', () => {
  const found = (address: string, more: Partial<Found> = {}): Found =>
    ({ address, source_kind: 'onvif', name: '', manufacturer: '', model: '', state: 'found', message: '', ...more }) as Found

  it('is searched in ranges as people type them', () => {
    expect(rangesOf('192.168.1.0/24, 10.0.0.5\n10.0.0.5；172.16.0.0/30')).toEqual(['192.168.1.0/24', '10.0.0.5', '172.16.0.0/30'])
    expect(wrongRange(['192.168.1.0/24', '10.0.0.5'])).toBeNull()
    expect(wrongRange(['192.168.1.0/33'])).toBe('192.168.1.0/33')
    expect(wrongRange(['192.168.1.256'])).toBe('192.168.1.256')
    expect(wrongRange(['gate'])).toBe('gate')
  })
  it('gets a name of its own each', () => {
    const list = [
      found('192.168.1.64', { manufacturer: 'Acme', model: 'D1', name: 'Acme' }),
      found('192.168.1.65:8000', { name: 'East gate' }),
      found('192.168.1.66', { name: 'East gate' }),
      found('rtsp://192.168.1.67:554/'),
      found('192.168.1.64:81', { manufacturer: 'Acme', model: 'D1' }),
    ]
    expect([...proposedNames(list, ['Lobby']).values()]).toEqual([
      'Acme D1 192.168.1.64',
      'East gate',
      'East gate 192.168.1.66',
      'IPC 192.168.1.67',
      'Acme D1 192.168.1.64 (2)',
    ])
    expect([...proposedNames(list.slice(1, 2), ['East gate']).values()]).toEqual(['East gate 192.168.1.65'])
    expect(hostOf('http://10.1.2.3:8080/onvif/device_service')).toBe('10.1.2.3')
  })
  it('is added a few at a time, all of them', async () => {
    let most = 0
    let now = 0
    const done: number[] = []
    await inTurns([1, 2, 3, 4, 5], 2, async (item) => {
      most = Math.max(most, (now += 1))
      await Promise.resolve()
      done.push(item)
      now -= 1
    })
    expect(most).toBe(2)
    expect(done.sort()).toEqual([1, 2, 3, 4, 5])
  })
})

const plan = { mode: 'always', role: 'main', schedule: [], pre_s: 10, post_s: 30 } as Camera['recording']
const camera = (more: Partial<Camera>): Camera =>
  ({
    id: 'x', name: 'Gate', area: 'demo/riverside', address: '10.0.0.1', place_kind: 'shared_space', enabled: true, recording: plan,
    status: { state: 'online' }, latitude: null, longitude: null, heading: null, purpose: '', ...more,
  }) as Camera

describe('the list of cameras', () => {
  const list = [
    camera({ id: 'a' }),
    camera({ id: 'b', name: 'Yard', area: 'demo/riverside-east', status: { state: 'stalled' } as Camera['status'] }),
    camera({ id: 'c', area: 'demo/riverside/jade', enabled: false, recording: { ...plan, mode: 'off' } }),
  ]
  const none = { text: '', state: '', area: '', recording: '' } as const

  it('is filtered by what stands in it', () => {
    const ids = (filter: object) => matching(list, { ...none, ...filter }).map(({ id }) => id)
    expect(ids({})).toEqual(['a', 'b', 'c'])
    expect(ids({ text: ' yARD ' })).toEqual(['b'])
    expect(ids({ state: 'trouble' })).toEqual(['b'])
    expect(ids({ state: 'disabled' })).toEqual(['c'])
    expect(ids({ area: 'demo/riverside' })).toEqual(['a', 'c'])
    expect(ids({ recording: 'off' })).toEqual(['c'])
    expect(within('demo/riverside-east', 'demo/riverside')).toBe(false)
    expect(areasOf(list)).toEqual(['demo', 'demo/riverside', 'demo/riverside-east', 'demo/riverside/jade'])
  })
  it('becomes a table that spreadsheets and the import read', () => {
    const [head, first] = asTable([camera({ name: 'Gate "A", left', purpose: '=1+1', longitude: -1.5, recording: { ...plan, role: 'sub' } })])
      .slice(1)
      .split('\r\n')
    expect(head?.startsWith('name,area,place_kind')).toBe(true)
    expect(head).not.toContain('password')
    expect(first).toContain('"Gate ""A"", left"')
    expect(first).toContain("'=1+1")
    expect(first).toContain('always sub')
    expect(first).toContain(',-1.5,')
    expect(asTable([])[0]).toBe('\uFEFF')
  })
  it('says where cameras stand, by the names of plans that may be seen', () => {
    const standing = camera({ name: 'A', plan_id: 'p1', plan_x: 0.25, plan_y: 1 })
    expect(asTable([standing], new Map([['p1', 'Block A, roof']])).trimEnd().split('\r\n')[1]).toMatch(/,"Block A, roof",0\.25,1$/)
    expect(asTable([standing]).trimEnd().split('\r\n')[1]).toMatch(/,,,$/)
  })
})

describe('a recording plan', () => {
  it('is faulty where nothing would be recorded as meant', () => {
    const form = planForm(plan)
    expect(planFault(form)).toBeNull()
    const hours = withMode(form, 'schedule')
    expect(hours.schedule).toHaveLength(1)
    expect(planFault(hours)).toBeNull()
    expect(planFault({ ...hours, schedule: [] })).toBe('noHours')
    expect(planFault({ ...hours, schedule: [{ days: [], from: '08:00', to: '10:00' }] })).toBe('days')
    expect(planFault({ ...form, mode: 'event', pre_s: 61 })).toBe('pre')
    expect(planFault({ ...form, mode: 'event', post_s: NaN })).toBe('post')
    expect(planFault({ ...form, mode: 'event', pre_s: 0, post_s: 1 })).toBeNull()
  })
  it('sends no half hours that it does not use', () => {
    const form = { ...planForm(plan), schedule: [{ days: [], from: '08:00', to: '10:00' }] }
    expect(planBody(form).schedule).toEqual([])
    expect(samePlan(plan, planForm(plan))).toBe(true)
    expect(samePlan(plan, { ...plan, mode: 'off' })).toBe(false)
  })
})

describe('an encoder', () => {
  const encoder = {
    token: 'e', name: '', codec: 'hevc', width: 704, height: 576, fps: 25, bitrate_kbps: 512, gop: 50, roles: ['sub'],
    options: [
      { codec: 'h264', sizes: [{ width: 640, height: 360 }, { width: 1280, height: 720 }], fps: [10, 25], fps_is_range: false, gop: null, bitrate_kbps: null },
      { codec: 'hevc', sizes: [{ width: 1280, height: 720 }], fps: [1, 30], fps_is_range: true, gop: null, bitrate_kbps: null },
      { codec: 'jpeg', sizes: [], fps: [], fps_is_range: false, gop: null, bitrate_kbps: null },
    ],
  } as unknown as Encoder

  it('offers what the camera says, and what is set', () => {
    expect(codecsOf(encoder)).toEqual(['hevc', 'h264'])
    expect(sizesOf(encoder, 'hevc')).toEqual(['1280x720', '704x576'])
    expect(sizesOf(encoder, 'h264')).toEqual(['1280x720', '640x360'])
    expect(ratesOf(encoder, 'h264')).toEqual([25, 10])
    expect(ratesOf(encoder, 'hevc')).toBeNull()
    expect(isSub(encoder)).toBe(true)
    expect(isSub({ ...encoder, roles: ['main', 'sub'] })).toBe(false)
  })
  it('is asked for what differs alone', () => {
    const form = encoderForm(encoder)
    expect(encoderChange(form, encoder)).toBeNull()
    expect(encoderChange({ ...form, codec: 'h264', size: '640x360' }, encoder)).toEqual({ codec: 'h264', width: 640, height: 360 })
    expect(encoderChange({ ...form, fps: null, gop: 25 }, encoder)).toEqual({ gop: 25 })
    expect(keyframeSeconds(25, 12.5)).toBe(2)
    expect(keyframeSeconds(null, 25)).toBeNull()
  })
})

describe('the plan', () => {
  const shanghai = { latitude: 31.2304, longitude: 121.4737 }

  it('measures metres and back', () => {
    const there = moved(shanghai, { x: 120, y: -45 })
    const { x, y } = metresFrom(shanghai, there)
    expect(x).toBeCloseTo(120, 1)
    expect(y).toBeCloseTo(-45, 1)
    // A degree of latitude is 111.2 km everywhere, one of longitude less the further from the equator.
    expect(metresFrom(shanghai, { ...shanghai, latitude: 32.2304 }).y).toBeCloseTo(111_195, -1)
    expect(metresFrom(shanghai, { ...shanghai, longitude: 122.4737 }).x).toBeCloseTo(95_080, -2)
    expect(metresFrom({ latitude: 0, longitude: 179.9 }, { latitude: 0, longitude: -179.9 }).x).toBeCloseTo(22_239, -1)
    expect(moved({ latitude: 0, longitude: 179.9 }, { x: 22_239, y: 0 }).longitude).toBeCloseTo(-179.9, 3)
  })
  it('shows every camera', () => {
    const far = moved(shanghai, { x: 1000, y: 300 })
    const view = viewOf([shanghai, far], 800, 500) ?? { middle: shanghai, scale: 0 }
    expect(view.scale).toBeCloseTo((1000 * 1.3) / 800, 2)
    for (const place of [shanghai, far]) {
      const { x, y } = metresFrom(view.middle, place)
      expect(Math.abs(x / view.scale)).toBeLessThan(400)
      expect(Math.abs(y / view.scale)).toBeLessThan(250)
    }
    expect(viewOf([], 800, 500)).toBeNull()
    expect(viewOf([shanghai], 800, 500)?.scale).toBeGreaterThan(0)
  })
  it('has round lengths and wedges to where a camera looks', () => {
    expect([0.7, 1, 49, 50, 1999, 2000].map(roundLength)).toEqual([0.5, 1, 20, 50, 1000, 2000])
    expect(wedge(90, 10, 0)).toBe('M0 0L10.00 -0.00A10 10 0 0 1 10.00 -0.00Z')
  })
  it('says what is wrong with a typed position', () => {
    expect(positionFault('', '', '')).toBeNull()
    expect(positionFault('31.2', '121.4', '359.9')).toBeNull()
    expect(positionFault('31.2', '', '')).toBe('half')
    expect(positionFault('91', '0', '')).toBe('latitude')
    expect(positionFault('a', '0', '')).toBe('latitude')
    expect(positionFault('0', '181', '')).toBe('longitude')
    expect(positionFault('', '', '360')).toBe('heading')
    expect(pair('31.2304, 121.4737')).toEqual(shanghai)
    expect(pair('31.2304')).toBeNull()
    expect(pair('north, east')).toBeNull()
  })
})

describe('a plan of recording in a cell', () => {
  const plan = { mode: 'schedule' as const, role: 'main' as const, pre_s: 10, post_s: 30 }
  it.each([
    [[{ days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '08:00', to: '18:00' }, { days: ['sat'], from: '09:00', to: '12:00' }], 'main', 'mon-fri 08:00-18:00; sat 09:00-12:00'],
    [[{ days: ['sun', 'sat'], from: '22:00', to: '06:00' }], 'sub', 'sat,sun 22:00-06:00 sub'],
    [[{ days: ['mon', 'wed', 'thu', 'fri', 'sun'], from: '08:00', to: '09:30' }], 'main', 'mon,wed-fri,sun 08:00-09:30'],
    [[], 'sub', ''],
  ] as const)('is what the import reads', (schedule, role, text) => {
    expect(planText({ ...plan, role, schedule: schedule.map((window) => ({ ...window, days: [...window.days] })) })).toBe(text)
  })
  it('is its mode where there are no hours', () => {
    expect(planText({ ...plan, mode: 'event', role: 'sub', schedule: [] })).toBe('event sub')
    expect(planText({ ...plan, mode: 'off', schedule: [] })).toBe('off')
  })
})
