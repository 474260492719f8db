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
import { frameBeside, nextFetch, pieceAfter, pieceAt, reaches, TOUCH, type Chunk } from './plan'
import { exactly } from './zone'

export type TrackState = 'waiting' | 'ready' | 'gap' | 'codec' | 'refused'

export interface TrackView {
  state: TrackState
  codec: string
  problem: Problem | null
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

export class Track {
  view: TrackView = { state: 'waiting', codec: '', problem: null }
  readonly files: Files
  private media: MediaSource | null = null
  private buffer: SourceBuffer | null = null
  private opening: Promise<void> | null = null
  private url = ''
  private mime = ''
  private chunks: Chunk[] = []
  private shown: number[] = []
  private keyframes: number[] = []
  private readonly inits = new Map<string, Promise<{ data: ArrayBuffer; mime: string }>>()
  private fetching: AbortController | null = null
  private current = ''
  private lostSince = 0
  private over = false
  private tightened = false

  constructor(
    private readonly playback: string,
    readonly camera: string,
    private readonly span: { from: number; to: number },
    readonly video: HTMLVideoElement,
    now: () => number,
    private readonly tell: () => void,
  ) {
    this.files = new Files(playback, camera, span, now)
    video.muted = true
    video.addEventListener('error', this.onError)
  }

  private say(state: TrackState, more: Partial<TrackView> = {}): void {
    const same = this.view.state === state && Object.keys(more).length === 0
    if (same && (state !== 'ready' || !this.view.problem)) return
    this.view = { ...this.view, problem: null, ...more, state }
    this.tell()
  }

  /** Ends everything and takes the picture away. */
  destroy(): void {
    this.over = true
    this.fetching?.abort()
    this.video.removeEventListener('error', this.onError)
    this.close()
  }

  /** As `destroy`, and says why. */
  refuse(problem: Problem): void {
    this.destroy()
    this.say('refused', { problem })
  }

  private close(): void {
    this.buffer = null
    this.media = null
    this.opening = null
    this.mime = this.current = ''
    this.chunks = []
    this.shown = this.keyframes = []
    if (this.url) URL.revokeObjectURL(this.url)
    this.url = ''
    this.video.removeAttribute('src')
    this.video.load()
  }

  private onError = (): void => {
    // What cannot be decoded is gone with its media source; the next step begins anew.
    if (!this.over && this.media) {
      this.fetching?.abort()
      this.close()
    }
  }

  /** What the picture on screen was taken at; null without one. */
  get position(): number | null {
    return this.buffered(this.video.currentTime) ? this.span.from + this.video.currentTime * 1000 : null
  }

  private seconds(at: number): number {
    return (at - this.span.from) / 1000
  }

  private buffered(time: number, slack = 0): number | null {
    const ranges = this.video.buffered
    for (let i = 0; i < ranges.length; i += 1) {
      if (time >= ranges.start(i) - slack && time < ranges.end(i)) return Math.max(time, ranges.start(i))
    }
    return null
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
    void this.files.around(at).catch((error: unknown) => this.failed(error))
    if (!pieceAt(this.files.list, at) && !this.bridged(at)) {
      this.video.pause()
      this.say(this.files.knows(at) ? 'gap' : 'waiting')
      return
    }
    if (this.view.state === 'codec' && pieceAt(this.files.list, at)?.codec === this.view.codec) return
    if (this.chunks.length > 0 && !reaches(this.chunks, at)) this.reset()
    void this.fill(at, Math.min(MOST_AHEAD, AHEAD * Math.max(1, rate)))
    this.follow(at, running, rate)
    this.trim(at)
  }

  /** Whether `at` lies between two files that are as good as one. */
  private bridged(at: number): boolean {
    const after = pieceAfter(this.files.list, at)
    const before = this.files.list.findLast((file) => file.to <= at)
    return after !== undefined && before !== undefined && after.from - before.to <= TOUCH
  }

  private follow(at: number, running: boolean, rate: number): void {
    const video = this.video
    const target = this.buffered(this.seconds(at), 0.6)
    if (target === null) {
      const idle = !this.fetching && !this.buffer?.updating
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
    this.fetching?.abort()
    this.fetching = null
    this.chunks = []
    this.shown = this.keyframes = []
    this.lostSince = 0
    const buffer = this.buffer
    if (!buffer || this.media?.readyState !== 'open') return
    try {
      buffer.abort()
      this.current = ''
      buffer.remove(0, Infinity)
    } catch {
      this.close() // something is being removed already; a new media source is as quick
    }
  }

  private async fill(at: number, ahead: number): Promise<void> {
    if (this.fetching || this.over) return
    const wanted = nextFetch(this.files.list, this.chunks, at, this.tightened ? 5000 : ahead, this.span.to)
    if (!wanted) return
    const control = new AbortController()
    this.fetching = control
    try {
      const [init, media] = await Promise.all([
        this.init(wanted.piece),
        playbacks.media(this.playback, wanted.piece, wanted, control.signal),
      ])
      if (control.signal.aborted) return
      if (!MediaSource.isTypeSupported(init.mime)) {
        this.say('codec', { codec: this.files.list.find((file) => file.id === wanted.piece)?.codec ?? init.mime })
        return
      }
      await this.append(wanted.piece, init, media, control.signal)
    } catch (error) {
      if (control.signal.aborted) return
      this.lost(wanted.piece, error)
    } finally {
      if (this.fetching === control) this.fetching = null
    }
  }

  /** A file that cannot be read is left out; what is over is over. */
  private lost(piece: string, error: unknown): void {
    const problem = asProblem(error)
    if (problem.code === 'no-recording') {
      const last = this.chunks.at(-1)
      if (last?.piece === piece) last.last = true
      else this.files.drop(piece)
    } else if (problem.code === 'segment-damaged' || problem.code === 'segment-missing') {
      this.files.drop(piece)
      this.say('waiting', { problem })
    } else this.failed(error)
  }

  private failed(error: unknown): void {
    const problem = asProblem(error)
    if (this.over || problem.away || problem.status >= 500 || problem.status === 429) {
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

  private async open(mime: string): Promise<void> {
    const media = new MediaSource()
    this.media = media
    this.url = URL.createObjectURL(media)
    this.video.disableRemotePlayback = true
    this.video.src = this.url
    await new Promise<void>((done) => media.addEventListener('sourceopen', () => done(), { once: true }))
    if (this.media !== media) return
    media.duration = this.seconds(this.span.to) + 1
    this.buffer = media.addSourceBuffer(mime)
    this.buffer.mode = 'segments'
    this.mime = mime
  }

  private async append(
    piece: string,
    init: { data: ArrayBuffer; mime: string },
    media: { data: ArrayBuffer; headers: Headers },
    signal: AbortSignal,
  ): Promise<void> {
    await (this.opening ??= this.open(init.mime))
    const buffer = this.buffer
    if (!buffer || signal.aborted) return
    await settled(buffer)
    if (signal.aborted) return
    if (this.mime !== init.mime) {
      buffer.changeType(init.mime)
      this.mime = init.mime
      this.current = ''
    }
    const from = exactly(media.headers.get('X-Starts-At') ?? '')
    const next = media.headers.get('X-Ends-At') ?? ''
    const inMedia = Number(media.headers.get('X-Media-Time'))
    const offset = this.seconds(from) - inMedia
    if (this.current !== piece) await put(buffer, init.data)
    this.current = piece
    if (signal.aborted) return
    buffer.timestampOffset = offset
    try {
      await put(buffer, media.data)
      this.tightened = false
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== 'QuotaExceededError') throw error
      // Less at a time, and less of the past.
      this.tightened = true
      this.cut(buffer, this.video.currentTime - 5)
      return
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
    const buffer = this.buffer
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

function settled(buffer: SourceBuffer): Promise<void> {
  if (!buffer.updating) return Promise.resolve()
  return new Promise((done) => buffer.addEventListener('updateend', () => done(), { once: true }))
}

async function put(buffer: SourceBuffer, data: ArrayBuffer): Promise<void> {
  const failure = new Promise<never>((_, reject) => buffer.addEventListener('error', () => reject(new Error('append')), { once: true }))
  failure.catch(() => undefined)
  buffer.appendBuffer(data)
  await Promise.race([settled(buffer), failure])
}
