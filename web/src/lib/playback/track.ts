/**
 * One camera's recording in a video element, through Media Source Extensions.
 *
 * The media time of the element is the wall clock, counted from `base`: `timestampOffset` is set
 * for every piece. What is buffered is one run of chunks; going elsewhere empties it.
 */
import { playbacks } from '@/api/playback'
import { asProblem, type Problem } from '@/api/problem'
import { Files } from './files'
import { framesOf } from './parts'
import { frameBeside, nextFetch, pieceAfter, pieceAt, reaches, TOUCH, type Chunk, type Wanted } from './plan'
import { plays, put, type Source } from './source'
import { exactly } from './zone'

export type TrackState = 'waiting' | 'ready' | 'gap' | 'codec' | 'refused'

export interface TrackView {
  state: TrackState
  codec: string
  problem: Problem | null
  /** There was a recording here, but it cannot be read. */
  damaged: boolean
  /** There is sound in what is known of it. */
  sound: boolean
}

const AHEAD = 10_000
const MOST_AHEAD = 60_000
const KEEP = 60_000
const TRIM = 20_000
const INITS = 24
/** As far as pictures of several cameras may be apart, in seconds, before one is put right at once. */
const FAR = 0.15
const NEAR = 0.03
/** The position is in the chunks, but the browser has nothing there: it has thrown it away. */
const LOST_MS = 1500
const NEARLY = 700
/** After an answer that failed nothing is asked for so long, unless the hub says how long. */
const REST_MS = 1000
/** What a browser could not decode is tried once more; the second time the file ends there. */
const TRIES = 2
/** When the element may have a picture that it did not have before. */
const NEWS = ['loadeddata', 'seeked', 'canplay'] as const

export class Track {
  view: TrackView = { state: 'waiting', codec: '', problem: null, damaged: false, sound: false }
  readonly files: Files
  readonly video: HTMLVideoElement
  private chunks: Chunk[] = []
  private shown: number[] = []
  private keyframes: number[] = []
  private readonly inits = new Map<string, Promise<{ data: ArrayBuffer; mime: string }>>()
  private fetching: AbortController | null = null
  private current = ''
  private lostSince = 0
  private over = false
  private tightened = false
  /** Somebody wants to hear it. */
  audible = false
  private restUntil = 0
  private at = 0
  /** What is on its way into the browser, and how often a file could not be decoded. */
  private appending: { piece: string; from: number } | null = null
  private readonly broken = new Map<string, number>()

  constructor(
    private readonly playback: string,
    readonly camera: string,
    private readonly span: { from: number; to: number },
    private readonly source: Source,
    now: () => number,
    private readonly tell: () => void,
  ) {
    this.files = new Files(playback, camera, span, now)
    this.video = source.video
    this.video.addEventListener('error', this.onError)
    for (const news of NEWS) this.video.addEventListener(news, tell)
  }

  private say(state: TrackState, more: Partial<TrackView> = {}): void {
    const damaged = state === 'gap' && this.files.damagedAt(this.at)
    const sound = this.files.list.some((file) => file.sound)
    const same = this.view.state === state && this.view.damaged === damaged && this.view.sound === sound && Object.keys(more).length === 0
    if (same && (state !== 'ready' || !this.view.problem)) return
    this.view = { ...this.view, problem: null, ...more, state, damaged, sound }
    this.tell()
  }

  /** Ends everything and takes the picture away. */
  destroy(): void {
    this.over = true
    this.video.removeEventListener('error', this.onError)
    for (const news of NEWS) this.video.removeEventListener(news, this.tell)
    this.forget()
    this.source.close()
  }

  /** As `destroy`, and says why. */
  refuse(problem: Problem): void {
    this.destroy()
    this.say('refused', { problem })
  }

  private forget(): void {
    this.fetching?.abort()
    this.fetching = null
    this.appending = null
    this.current = ''
    this.chunks = []
    this.shown = this.keyframes = []
    this.lostSince = 0
  }

  private onError = (): void => {
    if (this.over) return
    const here = pieceAt(this.files.list, this.at)
    const bad = this.appending ?? (here ? { piece: here.id, from: this.at } : null)
    // What cannot be decoded is gone with its media source; the next step begins anew.
    this.forget()
    this.source.renew()
    if (!bad) return
    const tries = (this.broken.get(bad.piece) ?? 0) + 1
    this.broken.set(bad.piece, tries)
    if (tries >= TRIES) this.files.endsAt(bad.piece, bad.from, true)
  }

  /** What the picture on screen was taken at; null without one. */
  get position(): number | null {
    return this.source.has(this.video.currentTime) !== null ? this.span.from + this.video.currentTime * 1000 : null
  }

  /** When the last picture before `at` was taken, a little into it; null where the buffer has none close by. */
  lastBefore(at: number): number | null {
    const time = this.shown.findLast((one) => one <= this.seconds(at))
    const taken = time === undefined ? null : this.span.from + (time + 0.001) * 1000
    return taken !== null && at - taken < TOUCH ? taken : null
  }

  private seconds(at: number): number {
    return (at - this.span.from) / 1000
  }

  /**
   * Does what is needed to show `at`, and says how it is. Called again and again.
   *
   * @param at Where the clock stands, in milliseconds since 1970.
   * @param running Whether time passes.
   * @param rate How fast, where it does.
   */
  step(at: number, running: boolean, rate: number): void {
    if (this.over) return
    this.at = at
    this.list(at)
    if (!pieceAt(this.files.list, at) && !this.bridged(at)) {
      this.video.pause()
      this.say(this.files.knows(at) ? 'gap' : 'waiting')
      return
    }
    const codec = pieceAt(this.files.list, at)?.codec
    if (codec !== undefined && !plays(codec)) {
      this.video.pause()
      if (this.view.state !== 'codec' || this.view.codec !== codec) this.say('codec', { codec })
      return
    }
    if (this.chunks.length > 0 && !reaches(this.chunks, at)) this.reset()
    void this.fill(at, Math.min(MOST_AHEAD, AHEAD * Math.max(1, rate)))
    this.follow(at, running, rate)
    this.trim(at)
  }

  private list(at: number): void {
    const known = this.files.knows(at)
    const news = (): void => {
      if (!known && this.files.knows(at)) this.tell()
    }
    this.files.around(at).then(news, (error: unknown) => this.failed(error))
  }

  /** Whether `at` lies between two files that are as good as one. */
  private bridged(at: number): boolean {
    const after = pieceAfter(this.files.list, at)
    const before = this.files.list.findLast((file) => file.to <= at)
    return after !== undefined && before !== undefined && after.from - before.to <= TOUCH
  }

  private follow(at: number, running: boolean, rate: number): void {
    const video = this.video
    const target = this.source.has(this.seconds(at), 0.6)
    if (target === null) {
      const idle = !this.fetching && !this.source.buffer?.updating
      const due = this.chunks.some((chunk) => at >= chunk.from && at < chunk.to - NEARLY)
      if (due && idle) {
        this.lostSince ||= performance.now()
        if (performance.now() - this.lostSince > LOST_MS) this.reset()
      } else this.lostSince = 0
      video.pause()
      // The last frame of a file may end a little before the file says.
      const end = this.chunks.some((chunk) => chunk.last && at >= chunk.to - NEARLY && at < chunk.to + TOUCH)
      this.say(end && idle ? 'gap' : 'waiting')
      return
    }
    this.lostSince = 0
    const muted = !this.audible || rate !== 1
    if (video.muted !== muted) video.muted = muted
    const apart = video.currentTime - target
    if (!video.seeking) {
      if (!running ? Math.abs(apart) > 0.002 : Math.abs(apart) > FAR * Math.max(1, rate)) video.currentTime = target
      else if (running) {
        const gentle = Math.abs(apart) > NEAR * Math.max(1, rate) ? Math.min(0.1, Math.max(-0.1, -apart / rate)) : 0
        const speed = Math.min(16, rate * (1 + gentle))
        if (Math.abs(video.playbackRate - speed) > 0.005) video.playbackRate = speed
      }
    }
    if (running && video.paused) video.play().catch(() => undefined)
    else if (!running && !video.paused) video.pause()
    if (video.readyState >= 2 || (this.view.state === 'ready' && video.seeking)) this.say('ready')
    else this.say('waiting')
  }

  /** Empties the buffer: somebody went elsewhere. */
  private reset(): void {
    this.forget()
    const buffer = this.source.buffer
    if (!buffer || !this.source.alive) return
    try {
      buffer.abort()
      buffer.remove(0, Infinity)
    } catch {
      this.source.renew() // something is being removed already; a new media source is as quick
    }
  }

  private async fill(at: number, ahead: number): Promise<void> {
    if (this.fetching || this.over || performance.now() < this.restUntil) return
    const wanted = nextFetch(this.files.list, this.chunks, at, this.tightened ? 5000 : ahead, this.span.to)
    if (!wanted || !plays(this.files.list.find((file) => file.id === wanted.piece)?.codec ?? '')) return
    const control = new AbortController()
    this.fetching = control
    try {
      const [init, media] = await Promise.all([
        this.init(wanted.piece),
        playbacks.media(this.playback, wanted.piece, wanted, control.signal),
      ])
      if (control.signal.aborted) return
      await this.append(wanted.piece, init, media, control.signal)
    } catch (error) {
      if (control.signal.aborted) return
      this.lost(wanted, error)
    } finally {
      if (this.fetching === control) this.fetching = null
    }
  }

  /** A file ends where nothing more of it can be read; what is over is over. */
  private lost(wanted: Wanted, error: unknown): void {
    const problem = asProblem(error)
    const damaged = problem.code === 'segment-damaged' || problem.code === 'segment-missing'
    if (!damaged && problem.code !== 'no-recording') {
      this.failed(error)
      return
    }
    const last = this.chunks.at(-1)
    const known = last?.piece === wanted.piece
    if (known) last.last = true
    const begins = this.files.list.find((file) => file.id === wanted.piece)?.from ?? 0
    this.files.endsAt(wanted.piece, known ? last.to : problem.code === 'segment-missing' ? begins : exactly(wanted.from), damaged)
    this.tell()
  }

  private failed(error: unknown): void {
    const problem = asProblem(error)
    if (this.over || problem.away || problem.status >= 500 || problem.status === 429) {
      this.restUntil = performance.now() + (problem.retryAfter !== null ? problem.retryAfter * 1000 : REST_MS)
      if (!this.over) this.say(this.view.state, { problem })
      return
    }
    this.refuse(problem)
  }

  private init(piece: string): Promise<{ data: ArrayBuffer; mime: string }> {
    let found = this.inits.get(piece)
    if (!found) {
      found = playbacks.init(this.playback, piece, new AbortController().signal).then(({ data, headers }) => ({
        data,
        mime: headers.get('Content-Type') ?? `video/mp4; codecs="${headers.get('X-Codec')}"`,
      }))
      this.inits.set(piece, found)
      found.catch(() => this.inits.delete(piece))
      if (this.inits.size > INITS) this.inits.delete(this.inits.keys().next().value ?? '')
    }
    return found
  }

  private async append(
    piece: string,
    init: { data: ArrayBuffer; mime: string },
    media: { data: ArrayBuffer; headers: Headers },
    signal: AbortSignal,
  ): Promise<void> {
    const ready = await this.source.ready(init.mime, this.seconds(this.span.to) + 1)
    if (!ready || signal.aborted) return
    const { buffer, changed } = ready
    if (changed) this.current = ''
    const from = exactly(media.headers.get('X-Starts-At') ?? '')
    const next = media.headers.get('X-Ends-At') ?? ''
    const inMedia = Number(media.headers.get('X-Media-Time'))
    const offset = this.seconds(from) - inMedia
    if (this.current !== piece) await put(buffer, init.data)
    this.current = piece
    if (signal.aborted) return
    buffer.timestampOffset = offset
    this.appending = { piece, from: Math.max(from, this.chunks.at(-1)?.to ?? this.at) }
    try {
      await put(buffer, media.data)
      this.tightened = false
    } catch (error) {
      // What cannot be decoded is the element's error as well: `onError` goes on from there.
      if (!(error instanceof DOMException) || error.name !== 'QuotaExceededError') return
      // Less at a time, and less of the past.
      this.tightened = true
      this.cut(buffer, this.video.currentTime - 5)
      return
    } finally {
      if (!signal.aborted) this.appending = null
    }
    if (signal.aborted) return
    const frames = framesOf(media.data)
    this.shown = [...this.shown, ...frames.shown.map((time) => time + offset)].sort((a, b) => a - b)
    this.keyframes.push(...frames.keyframes.map((time) => time + offset))
    const to = exactly(next)
    const end = this.files.list.find((file) => file.id === piece)?.to ?? to
    this.chunks.push({ piece, from, to, next, last: to >= end - 40 })
    this.tell()
  }

  private trim(at: number): void {
    const first = this.chunks[0]
    const buffer = this.source.buffer
    if (!first || !buffer || buffer.updating || this.fetching || at - first.from < KEEP + TRIM) return
    this.cut(buffer, this.seconds(at - KEEP))
  }

  /** Removes what lies before `time`, up to a keyframe: browsers remove on to the next one. */
  private cut(buffer: SourceBuffer, time: number): void {
    const end = this.keyframes.findLast((one) => one <= time)
    if (end === undefined || end <= 0.001 || buffer.updating) return
    buffer.remove(0, end - 0.001)
    this.keyframes = this.keyframes.filter((one) => one >= end)
    this.shown = this.shown.filter((one) => one >= end)
    const from = this.span.from + end * 1000
    this.chunks = this.chunks.filter((chunk) => chunk.to > from).map((chunk) => ({ ...chunk, from: Math.max(chunk.from, from) }))
  }

  /** Where the frame beside the one on screen begins; null when it is not in the buffer. */
  beside(step: 1 | -1): number | null {
    const time = frameBeside(this.shown, this.video.currentTime, step)
    // A little into the frame: rounded down it would be the one before.
    return time === null ? null : this.span.from + (time + 0.001) * 1000
  }
}
