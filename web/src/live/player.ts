/**
 * Plays a camera's fragmented MP4 from a WebSocket through Media Source Extensions.
 *
 * Appends are strictly one after another. Each init segment starts afresh: the old
 * buffer goes, the last picture stays on screen until the first new frame is there.
 */
import { keyframeTimes } from './boxes'
import { backoff, Cushion, edgeStep, joined, trimSpan, type Span } from './edge'

/** `sound`: the browser plays the pictures, but not with their sound. `reason`: why it is heard is not taken. */
export type Trouble = 'codec' | 'sound' | 'reason' | 'no_mse' | 'forbidden' | 'signed_out' | 'gone'

export interface LiveView {
  /** What the connection does, apart from what the camera does. */
  phase: 'idle' | 'connecting' | 'playing' | 'reconnecting' | 'refused'
  trouble: Trouble | null
  /** The camera's state as the stream tells it; null before it said anything. */
  camera: { state: string; reason_code: string; reason: string } | null
  codec: string
  /** Seconds between the newest frame and the one on screen. */
  behind: number | null
}

type Step =
  | { kind: 'init'; mime: string; bytes: ArrayBuffer }
  | { kind: 'media'; bytes: ArrayBuffer }

interface InitMessage {
  type: 'init'
  mime: string
}
interface StateMessage {
  type: 'state'
  state: string
  reason_code: string
  reason: string
}

const TICK_MS = 250
const KEEP_S = 4
const TRIM_S = 6
/** No picture for so long although data arrives: start over. */
const STUCK_MS = 4000
/** An online camera that sends nothing for so long: the connection is dead without knowing. */
const SILENT_MS = 10_000
/** More than this waiting means that the page was asleep: start over at the live edge. */
const MOST_WAITING = 16 * 1024 * 1024
/** After so many faults of the decoder with sound it is left out. */
const MOST_FAULTS = 3
const CLOSED: Record<number, Trouble> = { 4401: 'signed_out', 4403: 'forbidden', 4404: 'gone', 4422: 'reason' }

type Source = MediaSource & { readonly live?: unique symbol }

function mediaSourceClass(): (new () => Source) & { isTypeSupported(type: string): boolean } | null {
  // iPhones have ManagedMediaSource only.
  const scope = globalThis as { ManagedMediaSource?: typeof MediaSource; MediaSource?: typeof MediaSource }
  return scope.ManagedMediaSource ?? scope.MediaSource ?? null
}

export class LivePlayer {
  private socket: WebSocket | null = null
  private media: Source | null = null
  private buffer: SourceBuffer | null = null
  private objectUrl = ''
  private waiting: Step[] = []
  private waitingBytes = 0
  private nextInit: InitMessage | null = null
  /** Times of the keyframes in the buffer: what is removed must end at one. */
  private keyframes: number[] = []
  private fresh = false
  private attempts = 0
  private faults = 0
  private retry: ReturnType<typeof setTimeout> | undefined
  private ticker: ReturnType<typeof setInterval> | undefined
  private lastMoved = 0
  private lastTime = -1
  private lastData = 0
  private readonly cushion = new Cushion()
  private view: LiveView = { phase: 'idle', trouble: null, camera: null, codec: '', behind: null }

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly url: () => string,
    private readonly tell: (view: LiveView) => void,
    private readonly heard = false,
  ) {}

  start(): void {
    if (this.ticker) return
    this.video.muted = !this.heard
    this.video.addEventListener('waiting', this.onWaiting)
    this.video.addEventListener('error', this.onVideoError)
    this.ticker = setInterval(this.tick, TICK_MS)
    this.connect('connecting')
  }

  /** Ends the connection; the last picture stays on screen. */
  stop(): void {
    clearInterval(this.ticker)
    this.ticker = undefined
    this.video.removeEventListener('waiting', this.onWaiting)
    this.video.removeEventListener('error', this.onVideoError)
    this.hangUp()
    this.say({ phase: 'idle', behind: null })
  }

  /** Ends everything and frees the picture. */
  destroy(): void {
    this.stop()
    this.blank()
  }

  private blank(): void {
    this.dropMedia()
    this.video.removeAttribute('src')
    this.video.load()
  }

  private say(change: Partial<LiveView>): void {
    this.view = { ...this.view, ...change }
    this.tell(this.view)
  }

  private connect(phase: 'connecting' | 'reconnecting'): void {
    this.hangUp()
    if (!mediaSourceClass()) {
      this.say({ phase: 'refused', trouble: 'no_mse' })
      return
    }
    this.say({ phase, trouble: null })
    const socket = new WebSocket(this.url())
    socket.binaryType = 'arraybuffer'
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
      if (this.socket !== socket) return
      if (typeof event.data === 'string') this.onText(event.data)
      else this.onBytes(event.data)
    }
    socket.onclose = (event) => {
      if (this.socket === socket) this.onClose(event.code)
    }
    this.socket = socket
    this.lastMoved = this.lastData = performance.now()
  }

  private hangUp(): void {
    clearTimeout(this.retry)
    const socket = this.socket
    this.socket = null
    this.nextInit = null
    this.waiting = []
    this.waitingBytes = 0
    socket?.close()
  }

  private again(): void {
    this.hangUp()
    this.say({ phase: 'reconnecting', behind: null })
    this.retry = setTimeout(() => this.connect('reconnecting'), backoff(this.attempts, Math.random()))
    this.attempts += 1
  }

  /** Gives up what is buffered; a new media source takes over. */
  private startOver = (): void => {
    this.dropMedia()
    this.again()
  }

  private onClose(code: number): void {
    const trouble = CLOSED[code]
    if (trouble) {
      this.hangUp()
      // Who may no longer look keeps no last picture either.
      this.blank()
      this.say({ phase: 'refused', trouble, behind: null })
    } else this.again()
  }

  private onText(data: string): void {
    const message = JSON.parse(data) as InitMessage | StateMessage
    if (message.type === 'init') {
      if (mediaSourceClass()?.isTypeSupported(message.mime)) {
        this.nextInit = message
        return
      }
      this.hangUp()
      this.say({ phase: 'refused', trouble: 'codec', codec: message.mime })
    } else {
      const { state, reason_code, reason } = message
      this.say({ camera: { state, reason_code, reason } })
    }
  }

  private onBytes(bytes: ArrayBuffer): void {
    this.lastData = performance.now()
    const init = this.nextInit
    this.nextInit = null
    if (init) {
      // What waited belongs to the stream before.
      this.waiting = [{ kind: 'init', mime: init.mime, bytes }]
      this.waitingBytes = 0
      this.say({ codec: init.mime })
    } else {
      this.waiting.push({ kind: 'media', bytes })
      this.waitingBytes += bytes.byteLength
      if (this.waitingBytes > MOST_WAITING) {
        this.again()
        return
      }
    }
    this.pump()
  }

  /** Gives the source buffer the next piece, if it is free. */
  private pump = (): void => {
    if (this.buffer?.updating || (this.media && this.media.readyState === 'closed' && this.objectUrl)) return
    const step = this.waiting[0]
    if (!step) return
    try {
      if (step.kind === 'init') this.beginStream(step.mime, step.bytes)
      else this.appendMedia()
    } catch {
      this.startOver() // a full or broken buffer
    }
  }

  private beginStream(mime: string, bytes: ArrayBuffer): void {
    const buffer = this.buffer
    if (!this.media || this.media.readyState === 'ended') {
      this.openMedia()
      return
    }
    if (!buffer) {
      const made = this.media.addSourceBuffer(mime)
      made.mode = 'segments'
      made.addEventListener('updateend', this.pump)
      made.addEventListener('error', this.startOver)
      this.buffer = made
    } else if (buffer.buffered.length > 0) {
      buffer.abort()
      buffer.remove(0, Infinity) // comes back here through updateend
      return
    } else buffer.changeType(mime)
    this.waiting.shift()
    this.fresh = true
    this.keyframes = []
    this.buffer?.appendBuffer(bytes)
  }

  private appendMedia(): void {
    if (!this.buffer) {
      // No init came on this connection yet: nothing can be made of it.
      this.waiting = []
      this.waitingBytes = 0
      return
    }
    const until = this.waiting.findIndex((step) => step.kind === 'init')
    const parts = this.waiting.splice(0, until === -1 ? this.waiting.length : until)
    this.waitingBytes = 0
    for (const part of parts) this.keyframes.push(...keyframeTimes(part.bytes))
    this.buffer.appendBuffer(joined(parts.map((part) => part.bytes)))
    queueMicrotask(this.follow)
  }

  private openMedia(): void {
    const Media = mediaSourceClass()
    if (!Media) return
    this.dropMedia(false)
    const media = new Media()
    this.media = media
    media.addEventListener('sourceopen', () => {
      if (this.media !== media) return
      URL.revokeObjectURL(this.objectUrl)
      this.objectUrl = ''
      // The first append may have begun between the opening and its event.
      if (!this.buffer?.updating) media.duration = Infinity
      this.pump()
    })
    this.objectUrl = URL.createObjectURL(media)
    this.video.disableRemotePlayback = true
    this.video.src = this.objectUrl
  }

  private dropMedia(forget = true): void {
    this.buffer?.removeEventListener('updateend', this.pump)
    this.buffer = null
    this.media = null
    if (this.objectUrl) URL.revokeObjectURL(this.objectUrl)
    this.objectUrl = ''
    if (forget) {
      this.waiting = []
      this.waitingBytes = 0
    }
  }

  private spans(): Span[] {
    const ranges = this.buffer?.buffered
    if (!ranges) return []
    return Array.from({ length: ranges.length }, (_, i) => ({ start: ranges.start(i), end: ranges.end(i) }))
  }

  /** Moves the playhead to the live edge. */
  private follow = (): void => {
    if (!this.buffer || this.media?.readyState !== 'open') return
    const spans = this.spans()
    const last = spans.at(-1)
    if (!last) return
    const step = edgeStep({ current: this.video.currentTime, spans, target: this.cushion.target })
    if (step.kind === 'seek' || this.fresh) {
      this.fresh = false
      const to = step.kind === 'seek' ? step.to : Math.max(last.start, last.end - this.cushion.target)
      if (!this.video.seeking) this.video.currentTime = to
      this.video.playbackRate = 1
    } else if (this.video.playbackRate !== step.rate) this.video.playbackRate = step.rate
    // Rejects while another load is under way; the next tick asks again.
    if (this.video.paused) this.video.play().catch(this.onHeldBack)
  }

  /** A browser that wants a click before it plays sound plays the pictures without it. */
  private onHeldBack = (error: unknown): void => {
    if (error instanceof DOMException && error.name === 'NotAllowedError') this.video.muted = true
  }

  private onVideoError = (): void => {
    if (!this.media || !this.socket) return
    this.faults += 1
    if (this.heard && this.faults >= MOST_FAULTS) {
      this.hangUp()
      this.say({ phase: 'refused', trouble: 'sound', behind: null })
    } else this.startOver()
  }

  private onWaiting = (): void => {
    // A seek waits too, and so does a camera that stopped: neither asks for a wider cushion.
    const starved = !this.video.seeking && performance.now() - this.lastData < 200
    if (this.view.phase === 'playing' && starved) this.cushion.stalled()
  }

  private tick = (): void => {
    const socket = this.socket
    if (!socket) return
    const time = performance.now()
    const moved = this.video.currentTime !== this.lastTime
    this.lastTime = this.video.currentTime
    if (moved) this.lastMoved = time
    this.follow()
    const spans = this.spans()
    const last = spans.at(-1)
    const playing = moved && time - this.lastData < 2000
    if (playing) {
      this.cushion.smooth(TICK_MS / 1000)
      this.attempts = 0
    }
    const behind = last ? Math.max(0, last.end - this.video.currentTime) : null
    if (playing) this.say({ phase: 'playing', behind })
    else if (time - this.lastMoved > STUCK_MS && time - this.lastData < 1000) {
      this.startOver()
      return
    } else if (time - this.lastData > SILENT_MS && (this.view.camera?.state ?? 'online') === 'online') {
      this.again()
      return
    }
    const old = trimSpan(this.video.currentTime, spans, KEEP_S, TRIM_S, this.keyframes)
    if (old && this.buffer && !this.buffer.updating && this.waiting.length === 0) {
      this.buffer.remove(old.start, old.end)
      this.keyframes = this.keyframes.filter((time) => time > old.end)
    }
  }
}
