/** The one clock that all pictures follow. Positions in milliseconds since 1970, `now` in milliseconds of any steady clock. */
export class PlayClock {
  private anchor = 0
  private since = 0
  private wanted = false
  private held = false
  private speed = 1

  constructor(position: number) {
    this.anchor = position
  }

  get playing(): boolean {
    return this.wanted
  }
  /** Whether time passes just now. */
  get running(): boolean {
    return this.wanted && !this.held
  }
  get rate(): number {
    return this.speed
  }

  at(now: number): number {
    return this.running ? this.anchor + (now - this.since) * this.speed : this.anchor
  }

  private settle(now: number): void {
    this.anchor = this.at(now)
    this.since = now
  }

  seek(position: number, now: number): void {
    this.anchor = position
    this.since = now
  }

  play(now: number): void {
    this.settle(now)
    this.wanted = true
  }

  pause(now: number): void {
    this.settle(now)
    this.wanted = false
  }

  setRate(rate: number, now: number): void {
    this.settle(now)
    this.speed = rate
  }

  /** Stops time while a picture is waited for. */
  hold(held: boolean, now: number): void {
    if (held === this.held) return
    this.settle(now)
    this.held = held
  }
}

export const rates = [0.25, 0.5, 1, 2, 4, 8, 16] as const

/** The next speed in a direction; the same at either end. */
export function nextRate(rate: number, step: 1 | -1): number {
  const at = rates.findIndex((one) => one === rate)
  return rates[Math.min(rates.length - 1, Math.max(0, at + step))] ?? 1
}
