/**
 * Turning a camera while something is held: decisions without a screen.
 *
 * The hub lets a movement end two seconds after it was last asked for. It is asked for again
 * every 0.8 s while something is held, and told to stop as soon as nothing is.
 */

export type Direction = 'left' | 'right' | 'up' | 'down' | 'in' | 'out'

export interface Speed {
  pan: number
  tilt: number
  zoom: number
}

/** Tells the hub; rejects when the camera does not do it. */
export type Tell = (command: { op: 'move'; pan: number; tilt: number; zoom: number } | { op: 'stop' }) => Promise<unknown>

const REPEAT_MS = 800

/** What the directions held together come to; opposite ones cancel each other out. */
export function speedOf(held: ReadonlySet<Direction>, share: number): Speed {
  const of = (more: Direction, less: Direction): number => (Number(held.has(more)) - Number(held.has(less))) * share
  return { pan: of('right', 'left'), tilt: of('up', 'down'), zoom: of('in', 'out') }
}

const still = ({ pan, tilt, zoom }: Speed): boolean => pan === 0 && tilt === 0 && zoom === 0

export class Mover {
  /** Share of the camera's full speed, over 0 to 1. */
  share = 0.5
  private readonly held = new Set<Direction>()
  private timer: ReturnType<typeof setInterval> | undefined
  private onTheWay = false
  private changed = false

  constructor(
    private readonly tell: Tell,
    private readonly hooks: { moving: (held: ReadonlySet<Direction>) => void; failed: (error: unknown) => void },
  ) {}

  get moving(): boolean {
    return this.timer !== undefined
  }

  hold(direction: Direction): void {
    if (this.held.has(direction)) return
    this.held.add(direction)
    this.follow()
  }

  release(direction: Direction): void {
    if (this.held.delete(direction)) this.follow()
  }

  /** Lets go of everything; `always` tells the camera to stop although nothing was held. */
  stop(always = false): void {
    const had = this.moving
    this.held.clear()
    this.halt()
    if (had || always) this.tellStop()
  }

  private follow(): void {
    this.hooks.moving(new Set(this.held))
    if (still(speedOf(this.held, this.share))) {
      if (!this.moving) return
      this.halt()
      this.tellStop()
      return
    }
    this.timer ??= setInterval(() => void this.move(), REPEAT_MS)
    void this.move()
  }

  private halt(): void {
    clearInterval(this.timer)
    this.timer = undefined
    this.hooks.moving(new Set(this.held))
  }

  private tellStop(): void {
    this.tell({ op: 'stop' }).catch((error: unknown) => this.hooks.failed(error))
  }

  private async move(): Promise<void> {
    if (this.onTheWay) {
      this.changed = true
      return
    }
    this.onTheWay = true
    this.changed = false
    try {
      await this.tell({ op: 'move', ...speedOf(this.held, this.share) })
    } catch (error) {
      this.hooks.failed(error)
      // What was lost on the way back may have happened.
      this.stop(true)
      return
    } finally {
      this.onTheWay = false
    }
    if (!this.moving) {
      // The stop was told while this was on its way, and may have overtaken it.
      this.tellStop()
    } else if (this.changed) void this.move()
  }
}
