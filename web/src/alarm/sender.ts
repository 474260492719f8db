/** Tries for ever, while the page lives, to bring to the hub what is in the store. */
import { deliverAll } from './deliver'
import type { Store } from './store'

/** Waits between attempts, the last one for ever after. */
export const WAITS_MS = [1000, 2000, 4000, 8000, 15_000] as const
/** How long an attempt may take: a dead network shows early, a slow one gets its time. */
export const PATIENCE_MS = [5000, 10_000, 15_000] as const

function nth(list: readonly number[], index: number): number {
  return list[Math.min(index, list.length - 1)] ?? 0
}

export class Sender {
  private timer: ReturnType<typeof setTimeout> | undefined
  private stop = new AbortController()
  private running = false
  private onceMore = false
  private failures = 0

  constructor(
    private readonly store: Store,
    private readonly changed: () => Promise<void>,
  ) {}

  /** Sends now. `fresh`: the network has just changed, so what is under way is begun anew. */
  kick(fresh = false): void {
    clearTimeout(this.timer)
    this.failures = 0
    if (this.running) {
      this.onceMore = true
      if (fresh) this.stop.abort()
    } else void this.run()
  }

  private async run(): Promise<void> {
    this.running = true
    try {
      do {
        this.onceMore = false
        this.stop = new AbortController()
        const options = { signal: this.stop.signal, timeoutMs: nth(PATIENCE_MS, this.failures) }
        // Whatever goes wrong here, an alarm is tried again.
        const outcome = await deliverAll(this.store, options).catch(() => ({ again: true, retryAfterMs: 0 }))
        await this.changed()
        if (outcome.again && !this.onceMore) this.later(outcome.retryAfterMs)
        else this.failures = 0
      } while (this.onceMore)
    } finally {
      this.running = false
    }
  }

  private later(retryAfterMs: number): void {
    const wait = Math.max(nth(WAITS_MS, this.failures), Math.min(retryAfterMs, 15_000))
    this.failures += 1
    clearTimeout(this.timer)
    this.timer = setTimeout(() => void this.run(), wait)
  }
}
