import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type * as Decks from '@/lib/playback/deck'
import { closeCinema, Hub, openCinema, Video, type Recorded } from './support/cinema'

const NOW = Date.parse('2026-11-22T20:00:00Z')
/** Where the recordings of most tests begin: long ago, so that nothing more is expected. */
const T = Date.parse('2026-11-22T04:10:00Z') + 0.456
const MINUTE = 60_000
const HOUR = 60 * MINUTE

let hub: Hub
let views: Decks.DeckView[]
let deck: Decks.Deck
const seen = (): Decks.DeckView => views.at(-1) as Decks.DeckView

/** `count` files of `length` without a gap between them. */
function row(from: number, count: number, length = MINUTE, name = 'f', camera = 'gate'): Recorded[] {
  return Array.from({ length: count }, (_, n) => ({ id: `${name}${n}`, camera, from: from + n * length, to: from + (n + 1) * length }))
}

async function open(files: Recorded[], at: number, options: { now?: number; cameras?: string[]; play?: boolean } = {}): Promise<Video[]> {
  hub = new Hub(files)
  openCinema(hub, options.now ?? NOW)
  vi.resetModules()
  const { Deck } = await import('@/lib/playback/deck')
  const { Source } = await import('@/lib/playback/source')
  views = []
  const cameras = options.cameras ?? ['gate']
  const videos = cameras.map(() => new Video())
  const sources = new Map(cameras.map((id, n) => [id, new Source(videos[n] as unknown as HTMLVideoElement)]))
  const playback = {
    id: 'p', from: '2026-11-22T00:00:00+00:00', to: '2026-11-23T00:00:00+00:00', purpose: 'case', reference: 'K',
    cameras: cameras.map((camera_id) => ({ camera_id, rendition: 'raw' })),
  } // prettier-ignore
  deck = new Deck(playback as never, sources, at, (view) => views.push(view))
  if (options.play ?? true) deck.play()
  return videos
}
const wait = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms)
/** Until `done`, in steps of a tenth of a second of the test's clock; a minute at most. */
async function until(done: () => boolean, within = MINUTE): Promise<void> {
  for (let passed = 0; !done(); passed += 100) {
    if (passed > within) throw new Error(`still ${JSON.stringify(seen())}`)
    await wait(100)
  }
}
const state = (camera = 'gate'): string | undefined => seen().tracks[camera]?.state

beforeEach(() => {
  Object.assign(globalThis, { location: { origin: 'http://hub.test' } })
})
afterEach(() => {
  deck.close()
  closeCinema()
})


describe('what is not recorded', () => {
  it('is passed over to the file that follows, not to the one after that', async () => {
    await open(row(T, 3), T - 5000)
    await until(() => state() === 'ready')
    expect(seen().at - T).toBeLessThan(3000)
    expect(seen().skipped?.to).toBeCloseTo(T, 1)
    expect(seen().ended).toBe(false)
  })
  it('is no end where the only file follows', async () => {
    await open(row(T, 1), T - 0.4)
    await wait(5000)
    expect(seen()).toMatchObject({ ended: false, playing: true, skipped: null })
    expect(seen().at - T).toBeGreaterThan(3000)
  })
  it('is passed over hour by hour, whatever was looked at before', async () => {
    const files = [...row(T, 1), ...row(T + 3 * HOUR, 1, MINUTE, 'g'), ...row(T + 9 * HOUR, 1, MINUTE, 'h')]
    await open(files, T + 9 * HOUR + 1000)
    await until(() => state() === 'ready')
    deck.seek(T + 58_000)
    await until(() => state() === 'ready')
    expect(seen().at).toBeLessThan(T + MINUTE)
    await until(() => seen().at > T + HOUR)
    expect(seen().at - T - 3 * HOUR).toBeLessThan(1000)
    expect(seen().skipped).toMatchObject({ damaged: false })
    await until(() => state() === 'ready')
  })
  it('of one camera does not stop the others', async () => {
    await open([...row(T, 3), ...row(T, 1, MINUTE, 'y', 'yard'), ...row(T + 2 * MINUTE, 1, MINUTE, 'z', 'yard')], T + 55_000, { cameras: ['gate', 'yard'] })
    await until(() => state('yard') === 'ready' && state('gate') === 'ready')
    await until(() => state('yard') === 'gap')
    const begun = seen().at
    await wait(5000)
    expect(state('gate')).toBe('ready')
    expect(seen().at - begun).toBeGreaterThan(4500)
    expect(seen().skipped).toBeNull()
    await until(() => state('yard') === 'ready', 2 * MINUTE)
    expect(seen().at - T).toBeGreaterThan(2 * MINUTE)
  })
  it('of all cameras is passed over to what comes first', async () => {
    await open([...row(T + HOUR, 1, MINUTE, 'f'), ...row(T + MINUTE, 1, MINUTE, 'y', 'yard')], T, { cameras: ['gate', 'yard'] })
    await until(() => state('yard') === 'ready')
    expect(seen().at - T).toBeLessThan(MINUTE + 3000)
  })
})

describe('where one file ends', () => {
  it('the next goes on without a stop', async () => {
    await open(row(T, 4, 5000), T + 200)
    await until(() => state() === 'ready')
    views.length = 0
    const begun = deck.at
    await wait(15_000)
    expect(deck.at - begun).toBeGreaterThan(14_500)
    expect(views.some((view) => view.skipped || view.ended || view.tracks.gate?.state === 'gap')).toBe(false)
  })
  it('a hundredth of a second of nothing is not told', async () => {
    const files = row(T, 3, 5000).map((file, n) => ({ ...file, from: file.from + n * 10, to: file.to + n * 10 }))
    await open(files, T + 200)
    await wait(12_000)
    expect(seen()).toMatchObject({ skipped: null, ended: false })
    expect(seen().at - T).toBeGreaterThan(11_000)
  })
  it('and nothing follows, it is the end, at the last picture', async () => {
    await open(row(T, 2, 5000), T + 4000)
    await until(() => seen().ended)
    await wait(100)
    expect(seen()).toMatchObject({ playing: false, waiting: false, problem: null })
    expect(state()).toBe('ready')
    expect(seen().at - T).toBeLessThan(10_000)
    expect(seen().at - T).toBeGreaterThan(9900)
    expect(views.slice(1).filter((view, n) => view.ended && !views[n]?.ended)).toHaveLength(1)
    // Nobody asks again and again for what is not there.
    const before = hub.asked.length
    await wait(3000)
    expect(hub.asked.slice(before).filter((url) => url.includes('/media'))).toEqual([])
  })
})

describe('the newest recording', () => {
  const begun = NOW - 20_000
  /** Files of five seconds, told of half a second after they are closed. */
  const live = (): Recorded[] => row(begun, 40, 5000).map((file) => ({ ...file, listedAt: file.to + 500 }))

  it('is followed as long as there is more of it', async () => {
    await open(live(), begun + 100)
    await wait(60_000)
    expect(seen()).toMatchObject({ ended: false, playing: true, skipped: null })
    expect(seen().at - begun).toBeGreaterThan(58_000)
  })
  it('has an end for who comes too near to now, and goes on when asked again', async () => {
    await open(live(), begun + 11_000)
    await until(() => seen().ended)
    // To the last picture that was told of, not a file before.
    expect((seen().at - begun) % 5000).toBeGreaterThan(4900)
    const end = seen().at
    await wait(8000)
    expect(seen().at).toBe(end)
    deck.play()
    await until(() => seen().at > end + 2000)
    expect(seen()).toMatchObject({ skipped: null, playing: true })
  })
  it('that appears while the list is being read is not overlooked', async () => {
    const files = live()
    await open(files, begun + 11_000)
    hub.slow = 400
    await wait(60_000)
    for (const [n, view] of views.entries()) {
      const listed = files.filter((file) => (file.listedAt ?? 0) < NOW + 10_000 && file.from > view.at).length
      if (view.ended && !views[n - 1]?.ended) expect(listed).toBeLessThan(4)
    }
    expect(seen().skipped).toBeNull()
  })
})

describe('going elsewhere', () => {
  it('while the rest of the day is looked for ends the look, not the playback', async () => {
    await open([...row(T, 1), ...row(T - HOUR, 3, MINUTE, 'e')], T + 59_000)
    await until(() => state() === 'ready')
    hub.slow = 300
    await until(() => seen().waiting)
    await wait(500)
    deck.seek(T - HOUR + 70_000)
    expect(deck.at - (T - HOUR)).toBeLessThan(71_000)
    await until(() => state() === 'ready')
    await wait(10_000)
    expect(seen()).toMatchObject({ ended: false, playing: true, skipped: null })
    expect(seen().at - (T - HOUR)).toBeGreaterThan(75_000)
    expect(seen().at - (T - HOUR)).toBeLessThan(85_000)
  })
  it('many times shows the last place only', async () => {
    await open(row(T, 30), T, { play: false })
    for (let n = 0; n < 20; n += 1) {
      deck.seek(T + n * 77_000 + 5000)
      await wait(15)
    }
    await until(() => state() === 'ready')
    expect(seen().at).toBeCloseTo(T + 19 * 77_000 + 5000, 1)
  })
})

describe('a damaged file', () => {
  it('that is cut off is played as far as it is whole, then passed over', async () => {
    const [a, b, c] = row(T, 3) as [Recorded, Recorded, Recorded]
    await open([a, { ...b, wholeTo: b.from + 20_000, damage: 'segment-damaged' }, c], T + 50_000)
    await until(() => seen().skipped !== null)
    expect(seen().skipped?.from).toBeGreaterThan(b.from + 19_000)
    expect(seen().skipped).toMatchObject({ damaged: true })
    await until(() => state() === 'ready')
    expect(seen().at - c.from).toBeLessThan(3000)
    // Going back into what is whole shows it again.
    deck.seek(b.from + 5000)
    await until(() => state() === 'ready')
    expect(seen().at - b.from).toBeLessThan(10_000)
  })
  it('at the end of the recordings is their end', async () => {
    const [a, b] = row(T, 2) as [Recorded, Recorded]
    await open([a, { ...b, wholeTo: b.from + 20_000, damage: 'no-recording' }], T + 65_000)
    await until(() => seen().ended)
    expect(seen().at - b.from).toBeGreaterThan(19_900)
    const before = hub.asked.length
    await wait(5000)
    expect(hub.asked.length - before).toBeLessThan(12)
  })
  it('of which nothing is whole, or that is gone, is passed over', async () => {
    const [a, b, c, d] = row(T, 4) as [Recorded, Recorded, Recorded, Recorded]
    await open([a, { ...b, wholeTo: 0, damage: 'segment-damaged' }, { ...c, wholeTo: 0, damage: 'segment-missing' }, d], T + 57_000)
    await until(() => seen().at > d.from)
    await until(() => state() === 'ready')
    expect(seen().at - d.from).toBeLessThan(3000)
    expect(seen().problem).toBeNull()
    deck.pause()
    deck.seek(c.from + 30_000)
    await until(() => state() === 'gap')
    expect(seen().tracks.gate).toMatchObject({ damaged: true })
  })
  it('with bytes that no browser decodes is tried twice and then passed over', async () => {
    const [a, b, c] = row(T, 3) as [Recorded, Recorded, Recorded]
    await open([a, { ...b, garbageFrom: b.from + 15_000 }, c], T + 58_000)
    await until(() => seen().at > c.from, 2 * MINUTE)
    await until(() => state() === 'ready')
    const media = hub.asked.filter((url) => url.includes(`${b.id}/media`))
    expect(media.length).toBeLessThan(11)
    expect(seen().ended).toBe(false)
  })
})

describe('a hub', () => {
  it('that does not answer is asked again, not all the time', async () => {
    await open(row(T, 3), T)
    hub.failing = { status: 503, code: 'playback-busy' }
    await wait(5000)
    expect(hub.asked.filter((url) => !url.includes('&beat')).length).toBeLessThan(25)
    expect(state()).toBe('waiting')
    hub.failing = null
    await until(() => state() === 'ready')
    expect(seen().tracks.gate?.problem).toBeNull()
  })
  it('that says no takes the picture away', async () => {
    await open(row(T, 3), T)
    await until(() => state() === 'ready')
    hub.failing = { status: 410, code: 'playback-ended' }
    await until(() => seen().problem !== null, 2000)
    expect(seen().problem?.code).toBe('playback-ended')
    expect(state()).toBe('refused')
  })
})

it('one camera at a time is heard, at normal speed only', async () => {
  const videos = await open([...row(T, 3), ...row(T, 3, MINUTE, 'y', 'yard').map((file) => ({ ...file, sound: true }))], T, { cameras: ['gate', 'yard'] })
  await until(() => state() === 'ready' && state('yard') === 'ready')
  const silent = (): boolean[] => videos.map((video) => video.muted)
  expect([seen().tracks.gate?.sound, seen().tracks.yard?.sound]).toEqual([false, true])
  expect(silent()).toEqual([true, true])
  deck.hear('yard')
  expect(silent()).toEqual([true, false])
  deck.setRate(2)
  expect(silent()).toEqual([true, true])
  deck.setRate(1)
  deck.hear('gate')
  expect(silent()).toEqual([false, true])
  deck.hear(null)
  expect(silent()).toEqual([true, true])
})

it('a codec that the browser cannot play is said without fetching any of it', async () => {
  await open(row(T, 2).map((file) => ({ ...file, codec: 'hvc1.1.6.L93.B0' })), T + 1000)
  await until(() => state() === 'codec')
  await wait(2000)
  expect(seen().tracks.gate?.codec).toBe('hvc1.1.6.L93.B0')
  expect(seen()).toMatchObject({ playing: false, problem: null })
  expect(hub.asked.some((url) => url.includes('/media') || url.includes('/init'))).toBe(false)
})
