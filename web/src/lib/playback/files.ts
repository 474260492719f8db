/** The recorded files of one camera in a playback, read hour by hour. */
import { playbacks } from '@/api/playback'
import { ordered, type Piece } from './plan'
import { exactly } from './zone'

export interface File extends Piece {
  codec: string
}

const HOUR = 3_600_000
/** An hour that is not over gains files: read again so often. */
const AGAIN_MS = 5000
/** The last picture of a file may end so much before the file says. */
const REST_MS = 1000
/** A file is told of when it is closed, a while after its time. */
const SETTLED_MS = 20 * 60_000

export class Files {
  list: File[] = []
  private readonly readAt = new Map<number, number>()
  private readonly pending = new Set<number>()

  constructor(
    private readonly playback: string,
    private readonly camera: string,
    private readonly span: { from: number; to: number },
    private readonly now: () => number,
  ) {}

  private stale(hour: number): boolean {
    const read = this.readAt.get(hour)
    if (read === undefined) return true
    return hour + HOUR > this.now() - SETTLED_MS && performance.now() - read > AGAIN_MS
  }

  /** Whether it is known what was recorded at `at`. */
  knows(at: number): boolean {
    return this.readAt.has(Math.floor(at / HOUR) * HOUR)
  }

  /** Reads what is needed around `at`; rejects as the call does. */
  async around(at: number): Promise<void> {
    const here = Math.floor(at / HOUR) * HOUR
    const hours = at - here > HOUR * 0.8 ? [here, here + HOUR] : [here]
    const next = this.list.some((file) => file.from > at) ? [] : [here + HOUR]
    const wanted = [...new Set([...hours, ...next])].filter((hour) => this.stale(hour) && !this.pending.has(hour))
    await Promise.all(wanted.map((hour) => this.read(hour)))
  }

  private async read(hour: number): Promise<void> {
    const from = Math.max(hour, this.span.from)
    const to = Math.min(hour + HOUR, this.span.to)
    if (to <= from) return
    this.pending.add(hour)
    try {
      const rows = await playbacks.files(this.playback, this.camera, from, to)
      const read = rows.map(({ id, codec, started_at, ends_at }) => ({ id, codec, from: exactly(started_at), to: exactly(ends_at) }))
      this.list = ordered([...this.list, ...read])
      this.readAt.set(hour, performance.now())
    } finally {
      this.pending.delete(hour)
    }
  }

  /** Leaves a file out that cannot be read. */
  drop(id: string): void {
    this.list = this.list.filter((file) => file.id !== id)
  }

  /** Whether anything is recorded after `at`, be it in the file that holds it. */
  goesOn(at: number): boolean {
    return this.list.some((file) => file.to > at + REST_MS)
  }

  /** When something is recorded next after `at`, as far as it is known. */
  after(at: number): number | null {
    return this.list.find((file) => file.from > at)?.from ?? null
  }
}
