/** Decisions that keep a live picture near its newest frame. Times in seconds of the media's own clock. */

export interface Span {
  start: number
  end: number
}

export interface EdgeInput {
  current: number
  /** Buffered spans, in order of time. */
  spans: readonly Span[]
  /** How far behind the newest frame playback is to stay. */
  target: number
}

export type EdgeStep = { kind: 'seek'; to: number } | { kind: 'rate'; rate: number }

/** Further behind than this, playback jumps instead of hurrying. */
export const SEEK_BEHIND = 1.5
/** Frames this close to the playhead count as reached: timestamps are rounded. */
const TOUCH = 0.08
const SLACK = 0.06
const FASTEST = 1.12
const SLOWEST = 0.96
const SLACK_BELOW = 0.5

/** What the player does next to be `target` behind the newest frame. */
export function edgeStep({ current, spans, target }: EdgeInput): EdgeStep {
  const last = spans.at(-1)
  if (!last) return { kind: 'rate', rate: 1 }
  const wanted = Math.max(last.start, last.end - target)
  const inside = spans.some((span) => current >= span.start - TOUCH && current <= span.end + TOUCH)
  // Outside every span: before the first picture, in a gap, or after a restart of the camera's clock.
  if (!inside || current > last.end + TOUCH) return { kind: 'seek', to: wanted }
  if (current < last.start - TOUCH) return { kind: 'seek', to: wanted }
  const behind = last.end - current
  if (behind > SEEK_BEHIND) return { kind: 'seek', to: wanted }
  if (behind > target + SLACK) {
    const rate = 1 + Math.min(FASTEST - 1, (behind - target) * 0.25)
    return { kind: 'rate', rate }
  }
  if (behind < target * SLACK_BELOW) return { kind: 'rate', rate: SLOWEST }
  return { kind: 'rate', rate: 1 }
}

/** How far behind to stay: wider after each stall, slowly narrower while all is smooth. */
export class Cushion {
  static readonly least = 0.1
  static readonly most = 0.5
  private seconds = Cushion.least

  get target(): number {
    return this.seconds
  }

  stalled(): void {
    this.seconds = Math.min(Cushion.most, this.seconds + 0.04)
  }

  /** Told of `elapsed` seconds without a stall. */
  smooth(elapsed: number): void {
    this.seconds = Math.max(Cushion.least, this.seconds - elapsed * 0.005)
  }
}

/** Removal ends this much before a keyframe: rounded past it, the browser would remove up to the next one. */
const BEFORE = 0.001

/**
 * The span to remove so that little more than `keep` seconds of the past stay buffered; null for none.
 *
 * It ends at a keyframe. Browsers remove on to the next keyframe after the end, which with keyframes ten
 * seconds apart would be the picture on screen and all that is still to come.
 */
export function trimSpan(
  current: number,
  spans: readonly Span[],
  keep: number,
  hysteresis: number,
  keyframes: readonly number[],
): Span | null {
  const first = spans[0]
  if (!first) return null
  const end = keyframes.findLast((time) => time <= current - keep)
  if (end === undefined || end - first.start < hysteresis) return null
  return { start: first.start, end: end - BEFORE }
}

/** Wait before try `attempt` (0 is the first), in milliseconds; `chance` in 0..1 spreads the tries. */
export function backoff(attempt: number, chance: number): number {
  const ceiling = Math.min(15_000, 500 * 2 ** Math.min(attempt, 10))
  return Math.round(ceiling * (0.5 + chance / 2))
}

/** One piece for the source buffer out of everything that waits. */
export function joined(parts: readonly ArrayBuffer[]): ArrayBuffer {
  const only = parts.length === 1 ? parts[0] : undefined
  if (only) return only
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let offset = 0
  for (const part of parts) {
    whole.set(new Uint8Array(part), offset)
    offset += part.byteLength
  }
  return whole.buffer
}
