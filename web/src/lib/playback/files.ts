/** The recorded files of one camera in a playback, read hour by hour. */
import { playbacks, type RecordedFile } from '@/api/playback'
import { ordered, pieceAt, type Piece } from './plan'
import { exactly } from './zone'

export interface File extends Piece {
  codec: string
  /** It was recorded with sound. */
  sound: boolean
}

const HOUR = 3_600_000
/** An hour that is not over gains files: read again so often. */
const AGAIN_MS = 5000
/** After an answer that failed nothing is asked for so long. */
const REST_MS = 1000
/** A file is told of when it is closed, a while after its time. */
const SETTLED_MS = 20 * 60_000

const hourOf = (at: number): number => Math.floor(at / HOUR) * HOUR

export class Files {
  list: File[] = []
  private readonly readAt = new Map<number, number>()
  private readonly pending = new Map<number, Promise<void>>()
  /** Where the media of files end that the index has as longer, and which of them are damaged there. */
  private readonly ends = new Map<string, number>()
  private damaged: Piece[] = []
  private restUntil = 0

  constructor(
    private readonly playback: string,
    private readonly camera: string,
    private readonly span: { from: number; to: number },
    private readonly now: () => number,
  ) {}

  private settled(hour: number): boolean {
    return hour + HOUR <= this.now() - SETTLED_MS
  }

  private stale(hour: number): boolean {
    if (performance.now() < this.restUntil || hour > this.now()) return false
    const read = this.readAt.get(hour)
    return read === undefined || (!this.settled(hour) && performance.now() - read > AGAIN_MS)
  }

  /** Whether it is known what was recorded at `at`. */
  knows(at: number): boolean {
    return this.readAt.has(hourOf(at))
  }

  /** Reads what is needed around `at`; resolves when it is read, rejects as the call does. */
  async around(at: number): Promise<void> {
    const here = hourOf(at)
    const hours = at - here > HOUR * 0.8 ? [here, here + HOUR] : [here]
    await Promise.all(hours.map((hour) => this.pending.get(hour) ?? (this.stale(hour) ? this.read(hour) : undefined)))
  }

  /**
   * When something is recorded next after `at`, before `end`; null when nothing is.
   *
   * Every hour between is read, the ones that may have gained a file afresh. Rejects as the call does.
   */
  async next(at: number, end: number): Promise<number | null> {
    for (let hour = hourOf(at); hour < end; hour += HOUR) {
      // What is being read already may have been asked before the newest file was told of.
      await this.pending.get(hour)
      if (this.first(at, hour) === null && (!this.readAt.has(hour) || !this.settled(hour))) await this.read(hour)
      const found = this.first(at, hour)
      if (found !== null) return found
    }
    return null
  }

  /** The first file that begins after `at` and in this hour. */
  private first(at: number, hour: number): number | null {
    const from = this.list.find((file) => file.from > at)?.from
    return from !== undefined && from < hour + HOUR ? from : null
  }

  private read(hour: number): Promise<void> {
    const running = this.pending.get(hour)
    if (running) return running
    const reading = this.ask(hour).finally(() => this.pending.delete(hour))
    this.pending.set(hour, reading)
    return reading
  }

  private async ask(hour: number): Promise<void> {
    const from = Math.max(hour, this.span.from)
    const to = Math.min(hour + HOUR, this.span.to)
    if (to <= from) return
    try {
      this.add(await playbacks.files(this.playback, this.camera, from, to))
      this.readAt.set(hour, performance.now())
    } catch (error) {
      this.restUntil = performance.now() + REST_MS
      throw error
    }
  }

  /** Takes the hour of `at` as told already, with the answer to the playback. */
  seed(at: number, rows: readonly RecordedFile[]): void {
    this.add(rows)
    this.readAt.set(hourOf(at), performance.now())
  }

  private add(rows: readonly RecordedFile[]): void {
    const read = rows.map(({ id, codec, has_sound, started_at, ends_at }) => ({ id, codec, sound: has_sound, from: exactly(started_at), to: exactly(ends_at) }))
    this.list = this.whole(ordered([...this.list, ...read]))
  }

  private whole(files: File[]): File[] {
    if (this.ends.size === 0) return files
    return files.map((file) => ({ ...file, to: Math.min(file.to, this.ends.get(file.id) ?? file.to) })).filter((file) => file.to > file.from)
  }

  /** Notes that nothing of a file can be played from `at` on, whatever the index says of it. */
  endsAt(id: string, at: number, damaged: boolean): void {
    const file = this.list.find((one) => one.id === id)
    if (file && damaged) this.damaged.push({ id, from: at, to: file.to })
    this.ends.set(id, Math.min(at, this.ends.get(id) ?? at))
    this.list = this.whole(this.list)
  }

  /** Whether something is recorded at `at` that cannot be read. */
  damagedAt(at: number): boolean {
    return this.damaged.some((one) => at >= one.from && at < one.to) && !pieceAt(this.list, at)
  }
}
