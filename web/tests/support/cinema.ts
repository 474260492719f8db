/**
 * A hub with recordings, and a browser that plays them, small enough to be driven by a test's own clock.
 *
 * The hub keeps to what `POST /playbacks/{id}/segments…` promises; the browser to what Media Source
 * Extensions promise: appends take a while, what is appended is buffered, a playing element moves on
 * within what is buffered. The media are `prft`, `moof` and `mdat` as the recorder writes them.
 */
import { vi } from 'vitest'
import { framesOf } from '../../src/lib/playback/parts'
import { exactly } from '../../src/lib/playback/zone'

/** A part as the recorder writes it. */
export function part(decoded: number, samples: readonly [duration: number, keyframe: boolean, later: number][], track = 1): Uint8Array<ArrayBuffer> {
  const trun = 20 + 16 * samples.length
  const traf = 8 + 16 + 20 + trun
  const moof = 8 + 16 + traf
  const bytes = new DataView(new ArrayBuffer(32 + moof + 8))
  let at = 0
  const put = (value: number): void => bytes.setUint32((at += 4) - 4, value >>> 0)
  const head = (size: number, kind: string): void => {
    put(size)
    for (const letter of kind) bytes.setUint8(at++, letter.charCodeAt(0))
  }
  head(32, 'prft')
  at = 32
  head(moof, 'moof')
  head(16, 'mfhd')
  at += 8
  head(traf, 'traf')
  head(16, 'tfhd')
  put(0x020000)
  put(track)
  head(20, 'tfdt')
  put(0x01000000)
  put(0)
  put(decoded)
  head(trun, 'trun')
  put(0x01000f01)
  put(samples.length)
  put(moof + 8)
  for (const [duration, keyframe, later] of samples) {
    put(duration)
    put(100)
    put(keyframe ? 0x02000000 : 0x01010000)
    put(later)
  }
  head(8, 'mdat')
  return new Uint8Array(bytes.buffer)
}

export interface Recorded {
  id: string
  camera?: string
  from: number
  to: number
  codec?: string
  sound?: boolean
  /** When the hub knows of it; from the beginning where it is left out. */
  listedAt?: number
  /** Where its whole parts really end. */
  wholeTo?: number
  /** What the hub says to a request beyond that, or to every one where nothing of it is whole. */
  damage?: 'segment-damaged' | 'segment-missing' | 'no-recording'
  /** From here on the bytes cannot be decoded. */
  garbageFrom?: number
}

const iso = (at: number): string => `${new Date(Math.floor(at)).toISOString().slice(0, -1)}${String(Math.floor((at % 1) * 1000 + 1e-3)).padStart(3, '0')}+00:00`
const GARBAGE = 0xbad

/** What was asked of the hub, and what it answers; every answer takes `slow` milliseconds. */
export class Hub {
  asked: string[] = []
  slow = 20
  failing: { status: number; code: string } | null = null

  constructor(public files: Recorded[]) {}

  fetch = async (input: Request | string, init: RequestInit = {}): Promise<Response> => {
    const request = input instanceof Request ? input : new Request(new URL(input, 'http://hub.test'), init)
    const url = new URL(request.url)
    this.asked.push(`${url.pathname.split('/').slice(5).join('/')}${url.search}`)
    await new Promise((done) => setTimeout(done, this.slow))
    if (request.signal.aborted || init.signal?.aborted) throw new DOMException('aborted', 'AbortError')
    if (this.failing) return problem(this.failing.status, this.failing.code)
    return this.answer(url)
  }

  private answer(url: URL): Response {
    const [, file, what] = url.pathname.split('/').slice(5)
    const from = exactly(url.searchParams.get('from') ?? '')
    const to = exactly(url.searchParams.get('to') ?? '')
    if (!file) {
      const camera = url.searchParams.get('camera_id')
      const rows = this.files.filter(
        (one) => (one.camera ?? 'gate') === camera && one.from < to && one.to > from && (one.listedAt ?? 0) <= Date.now(),
      )
      return Response.json(rows.map((one) => ({ id: one.id, codec: one.codec ?? 'avc1.640028', has_sound: one.sound ?? false, started_at: iso(one.from), ends_at: iso(one.to) })))
    }
    const one = this.files.find(({ id }) => id === file)
    if (!one) return problem(404, 'not-found')
    const headers = { 'X-Codec': one.codec ?? 'avc1.640028', 'Content-Type': `video/mp4; codecs="${one.codec ?? 'avc1.640028'}"` }
    if (what === 'init') return new Response(new Uint8Array(8), { headers })
    return this.media(one, from, to, headers)
  }

  /** Parts of a second that cover [from, to). */
  private media(one: Recorded, from: number, to: number, headers: Record<string, string>): Response {
    const whole = one.wholeTo ?? one.to
    const first = one.from + Math.max(0, Math.floor((from - one.from) / 1000 + 1e-6)) * 1000
    if (first >= whole - 1e-6 || to <= one.from) {
      const code = one.damage ?? 'no-recording'
      return problem(code === 'no-recording' ? 404 : 410, code)
    }
    const parts: Uint8Array[] = []
    let ends = first
    for (let at = first; at < Math.min(to, whole); at = ends) {
      ends = Math.min(at + 1000, whole)
      const frames = Math.max(1, Math.round((ends - at) / 40))
      const ticks = Math.round(((ends - at) * 90) / frames)
      const rotten = one.garbageFrom !== undefined && ends > one.garbageFrom
      parts.push(part(Math.round((at - one.from) * 90), Array.from({ length: frames }, (_, n) => [ticks, n === 0, rotten ? GARBAGE : 0])))
    }
    const body = new Uint8Array(parts.reduce((sum, each) => sum + each.length, 0))
    let position = 0
    for (const each of parts) {
      body.set(each, position)
      position += each.length
    }
    return new Response(body, {
      headers: { ...headers, 'X-Starts-At': iso(first), 'X-Ends-At': iso(ends), 'X-Media-Time': ((first - one.from) / 1000).toFixed(6) },
    })
  }
}

function problem(status: number, code: string): Response {
  return Response.json({ code, detail: code, remedy: '' }, { status, headers: { 'Content-Type': 'application/problem+json' } })
}

interface Range {
  start: number
  end: number
}

class Ranges {
  constructor(private readonly all: readonly Range[]) {}
  get length(): number {
    return this.all.length
  }
  start(n: number): number {
    return this.all[n]?.start ?? NaN
  }
  end(n: number): number {
    return this.all[n]?.end ?? NaN
  }
}

class Buffer extends EventTarget {
  updating = false
  timestampOffset = 0
  mode = ''
  ranges: Range[] = []
  private work = 0

  constructor(private readonly media: Media) {
    super()
  }
  get buffered(): Ranges {
    return new Ranges(this.ranges)
  }
  changeType = vi.fn()
  abort(): void {
    this.work += 1
    this.updating = false
  }
  private soon(work: () => boolean): void {
    if (this.updating) throw new DOMException('busy', 'InvalidStateError')
    if (this.media.readyState !== 'open') throw new DOMException('closed', 'InvalidStateError')
    this.updating = true
    const mine = ++this.work
    setTimeout(() => {
      if (mine !== this.work) return
      this.updating = false
      if (!work()) this.dispatchEvent(new Event('error'))
      this.dispatchEvent(new Event('updateend'))
    }, 5)
  }
  appendBuffer(data: ArrayBuffer): void {
    const offset = this.timestampOffset
    const bytes = data.slice(0)
    this.soon(() => {
      if (bytes.byteLength === 8) return true
      const times = framesOf(bytes).shown
      if (rotten(bytes)) {
        this.media.fail()
        return false
      }
      const first = times[0] ?? 0
      const last = times.at(-1) ?? 0
      const each = times.length > 1 ? (last - first) / (times.length - 1) : 0.04
      this.add({ start: first + offset, end: last + each + offset })
      return true
    })
  }
  private add(range: Range): void {
    const all = [...this.ranges, range].sort((a, b) => a.start - b.start)
    this.ranges = all.reduce<Range[]>((found, one) => {
      const before = found.at(-1)
      if (before && one.start - before.end < 0.05) before.end = Math.max(before.end, one.end)
      else found.push({ ...one })
      return found
    }, [])
  }
  remove(from: number, to: number): void {
    this.soon(() => {
      this.ranges = this.ranges.flatMap(({ start, end }) =>
        [{ start, end: Math.min(end, from) }, { start: Math.max(start, to), end }].filter((one) => one.end - one.start > 1e-6),
      )
      return true
    })
  }
}

function rotten(bytes: ArrayBuffer): boolean {
  const view = new DataView(bytes)
  for (let at = 0; at + 4 <= bytes.byteLength; at += 4) if (view.getUint32(at) === GARBAGE) return true
  return false
}

class Media extends EventTarget {
  static isTypeSupported = (mime: string): boolean => mime.includes('avc1')
  readyState = 'closed'
  duration = NaN
  buffers: Buffer[] = []
  video: Video | null = null
  addSourceBuffer(): Buffer {
    const made = new Buffer(this)
    this.buffers.push(made)
    return made
  }
  open(video: Video): void {
    this.video = video
    setTimeout(() => {
      this.readyState = 'open'
      this.dispatchEvent(new Event('sourceopen'))
    }, 3)
  }
  fail(): void {
    this.readyState = 'ended'
    this.video?.dispatchEvent(new Event('error'))
  }
}

const urls = new Map<string, Media>()

/** A video element; it moves on by the clock of the test. */
export class Video extends EventTarget {
  muted = false
  volume = 1
  paused = true
  seeking = false
  playbackRate = 1
  disableRemotePlayback = false
  private media: Media | null = null
  private anchor = 0
  private since = performance.now()

  set src(url: string) {
    this.media = urls.get(url) ?? null
    this.media?.open(this)
  }
  removeAttribute(): void {
    this.media = null
  }
  load(): void {
    this.anchor = 0
    this.paused = true
  }
  get buffered(): Ranges {
    return this.media?.buffers[0]?.buffered ?? new Ranges([])
  }
  private get here(): Range | undefined {
    const { buffered } = this
    for (let n = 0; n < buffered.length; n += 1) {
      if (this.anchor >= buffered.start(n) - 0.001 && this.anchor < buffered.end(n)) return { start: buffered.start(n), end: buffered.end(n) }
    }
    return undefined
  }
  get readyState(): number {
    return this.here ? 4 : this.media ? 1 : 0
  }
  get currentTime(): number {
    const { here } = this
    if (this.paused || !here) {
      this.since = performance.now()
      return this.anchor
    }
    return Math.min(here.end, this.anchor + ((performance.now() - this.since) / 1000) * this.playbackRate)
  }
  set currentTime(time: number) {
    this.anchor = time
    this.since = performance.now()
  }
  async play(): Promise<void> {
    if (!this.paused) return
    this.since = performance.now()
    this.paused = false
  }
  pause(): void {
    this.anchor = this.currentTime
    this.paused = true
  }
}

/** Makes the browser's parts those of this file, and time the test's. */
export function openCinema(hub: Hub, now: number): void {
  vi.useFakeTimers({ now, toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'] })
  vi.stubGlobal('MediaSource', Media)
  vi.stubGlobal('fetch', hub.fetch)
  let made = 0
  vi.spyOn(URL, 'createObjectURL').mockImplementation((media) => {
    const url = `blob:${(made += 1)}`
    urls.set(url, media as unknown as Media)
    return url
  })
  vi.spyOn(URL, 'revokeObjectURL').mockImplementation((url) => void urls.delete(url))
}

export function closeCinema(): void {
  vi.useRealTimers()
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
}
