/** Up to four cameras played back by one clock. */
import { playbacks, type Playback } from '@/api/playback'
import { asProblem, Problem } from '@/api/problem'
import { hubNow } from '@/state/clock'
import { PlayClock } from './clock'
import type { Source } from './source'
import { Track, type TrackView } from './track'

export interface DeckView {
  at: number
  playing: boolean
  rate: number
  /** Time stands still until pictures come. */
  waiting: boolean
  tracks: Record<string, TrackView>
  /** What was passed over for want of a recording. */
  skipped: { from: number; to: number; damaged: boolean } | null
  /** There is nothing more to play. */
  ended: boolean
  /** Why all of it is over. */
  problem: Problem | null
}

const TICK_MS = 80
/** Whether it may still be shown is asked so often: what is in the buffer must not outlast the right. */
const BEAT_MS = 600
/** One camera that does not come keeps the others waiting no longer than this. */
const PATIENCE_MS = 5000
/** Looking at nothing for so long ends the viewing. */
const IDLE_MS = 9 * 60_000
/** So long it stands that something was passed over. */
const NOTICE_MS = 8000
/** A shorter gap is passed over without a word. */
const WORTH_TELLING_MS = 2000
/** The hub did not answer: so long until it is asked again. */
const REST_MS = 1000
const OVER = new Set([401, 403, 404, 410])

export class Deck {
  private readonly clock: PlayClock
  private readonly tracks: Track[]
  private readonly span: { from: number; to: number }
  private ticker: ReturnType<typeof setInterval> | undefined
  private beater: ReturnType<typeof setInterval> | undefined
  private heldSince = 0
  private skipped: DeckView['skipped'] = null
  private skippedAt = 0
  private ended = false
  private problem: Problem | null = null
  private over = false
  private touched = performance.now()
  private asking = false
  private stepping = false
  /** The look for what is recorded next that is under way; null: none, or whoever played has gone elsewhere. */
  private looking: symbol | null = null

  constructor(
    readonly playback: Playback,
    sources: ReadonlyMap<string, Source>,
    at: number,
    private readonly tell: (view: DeckView) => void,
  ) {
    this.span = { from: Date.parse(playback.from), to: Date.parse(playback.to) }
    this.clock = new PlayClock(this.bounded(at))
    this.tracks = playback.cameras.flatMap(({ camera_id, segments }) => {
      const source = sources.get(camera_id)
      if (!source) return []
      const track = new Track(playback.id, camera_id, this.span, source, hubNow, this.told)
      if (segments) track.files.seed(this.at, segments)
      return [track]
    })
    this.ticker = setInterval(this.step, TICK_MS)
    this.beater = setInterval(() => void this.beat(), BEAT_MS)
    this.step()
  }

  private bounded(at: number): number {
    return Math.min(Math.max(at, this.span.from), Math.min(this.span.to, hubNow()) - 1)
  }

  get at(): number {
    return this.clock.at(performance.now())
  }

  play(): void {
    this.touched = performance.now()
    this.ended = false
    this.clock.play(performance.now())
    this.step()
  }

  pause(): void {
    this.touched = performance.now()
    const was = this.clock.running
    this.clock.pause(performance.now())
    // The picture that is seen stays, rather than one a few hundredths beside it.
    const shown = was ? this.leader?.position : null
    if (shown) this.clock.seek(shown, performance.now())
    this.step()
  }

  setRate(rate: number): void {
    this.clock.setRate(rate, performance.now())
    this.step()
  }

  seek(at: number): void {
    this.touched = performance.now()
    this.ended = false
    this.skipped = null
    this.looking = null
    this.heldSince = 0
    this.clock.seek(this.bounded(at), performance.now())
    this.step()
  }

  /** Lets one camera be heard, at normal speed; null: none. */
  hear(camera: string | null): void {
    for (const track of this.tracks) track.audible = track.camera === camera
    this.step()
  }

  /** To the frame before or after. */
  frame(step: 1 | -1): void {
    if (this.clock.playing) this.pause()
    this.seek(this.leader?.beside(step) ?? this.at + step * 40)
  }

  /** Ends it in the hub as well. */
  close(): void {
    if (this.over) return
    this.stop()
    for (const track of this.tracks) track.destroy()
    void playbacks.end(this.playback.id)
  }

  private stop(): void {
    this.over = true
    clearInterval(this.ticker)
    clearInterval(this.beater)
  }

  private get leader(): Track | undefined {
    return this.tracks.find((track) => track.view.state === 'ready')
  }

  /** What a track tells within a step is seen at the end of that step: states belong to the time they were asked for. */
  private told = (): void => {
    if (!this.stepping) this.step()
  }

  private step = (): void => {
    if (this.over || this.stepping) return
    this.stepping = true
    try {
      this.onward(performance.now())
    } finally {
      this.stepping = false
    }
    this.say()
  }

  private onward(now: number): void {
    const at = this.clock.at(now)
    if (this.clock.playing && at >= Math.min(this.span.to, hubNow()) - 50) this.stopAtEnd(now)
    for (const track of this.tracks) track.step(at, this.clock.running, this.clock.rate)
    const waiting = this.tracks.some((track) => track.view.state === 'waiting')
    if (waiting) this.heldSince ||= now
    else this.heldSince = 0
    const others = this.tracks.some((track) => track.view.state === 'ready')
    // What this browser cannot play does not run on unseen.
    if (this.clock.playing && this.tracks.length > 0 && this.tracks.every(({ view }) => view.state === 'codec')) this.clock.pause(now)
    const nothing = !waiting && !others && this.tracks.some((track) => track.view.state === 'gap')
    if (this.clock.playing && nothing && !this.looking) void this.lookAhead(at)
    this.clock.hold(this.looking !== null || (waiting && (!others || now - this.heldSince < PATIENCE_MS)), now)
    if (this.skipped && now - this.skippedAt > NOTICE_MS) this.skipped = null
  }

  /** The last picture stays. */
  private stopAtEnd(now: number): void {
    this.clock.pause(now)
    const at = this.clock.at(now)
    const last = this.tracks.map((track) => track.lastBefore(at)).filter((time) => time !== null)
    if (last.length > 0) this.clock.seek(Math.max(...last), now)
    this.ended = true
  }

  /** Nothing is recorded at `at`: on to where something is, or the end. Time stands still meanwhile. */
  private async lookAhead(at: number): Promise<void> {
    const mine = (this.looking = Symbol())
    try {
      const end = Math.min(this.span.to, hubNow())
      const asked = this.tracks.filter((track) => track.view.state !== 'refused')
      const next = (await Promise.all(asked.map(({ files }) => files.next(at, end)))).filter((time) => time !== null)
      if (this.looking !== mine || this.over) return
      if (next.length === 0) this.stopAtEnd(performance.now())
      else this.pass(at, Math.min(...next))
    } catch {
      // Whether it may go on at all is the beat's to say; everything else may pass.
      await new Promise((done) => setTimeout(done, REST_MS))
    }
    if (this.looking !== mine) return
    this.looking = null
    this.step()
  }

  private pass(from: number, to: number): void {
    if (to - from > WORTH_TELLING_MS) {
      this.skipped = { from, to, damaged: this.tracks.some(({ view }) => view.damaged) }
      this.skippedAt = performance.now()
    }
    this.clock.seek(to + 1, performance.now())
  }

  private async beat(): Promise<void> {
    if (this.over || this.asking) return
    if (!this.clock.playing && performance.now() - this.touched > IDLE_MS) {
      this.fail(new Problem(410, 'playback-ended', '', ''))
      void playbacks.end(this.playback.id)
      return
    }
    this.asking = true
    const asked = this.tracks.filter((track) => track.view.state !== 'refused')
    await Promise.all(asked.map((track) => this.ask(track)))
    this.asking = false
    if (!this.over && this.tracks.length > 0 && this.tracks.every((track) => track.view.state === 'refused')) {
      const problem = this.tracks[0]?.view.problem
      if (problem) this.fail(problem)
    }
  }

  private async ask(track: Track): Promise<void> {
    try {
      await playbacks.beat(this.playback.id, track.camera, Math.min(this.at, this.span.to - 2))
    } catch (error) {
      const problem = asProblem(error)
      if (!this.over && OVER.has(problem.status)) track.refuse(problem)
    }
  }

  private fail(problem: Problem): void {
    if (this.over) return
    this.stop()
    this.problem = problem
    for (const track of this.tracks) track.destroy()
    this.clock.pause(performance.now())
    this.say()
  }

  private say(): void {
    this.tell({
      at: this.at,
      playing: this.clock.playing,
      rate: this.clock.rate,
      waiting: this.clock.playing && !this.clock.running,
      tracks: Object.fromEntries(this.tracks.map((track) => [track.camera, track.view])),
      skipped: this.skipped,
      ended: this.ended,
      problem: this.problem,
    })
  }
}
