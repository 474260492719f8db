/** What of a timeline is shown, and where. Times in milliseconds since 1970. */
import { clockText, zoneOffset } from './zone'

export interface Stretch {
  from: number
  to: number
}

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
/** No closer than this. */
export const LEAST = MINUTE
const STEPS = [
  SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 15 * SECOND, 30 * SECOND,
  MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR,
] // prettier-ignore

export const levels = { day: 24 * HOUR, hour: HOUR, minute: 2 * MINUTE } as const
export type Level = keyof typeof levels

function within(view: Stretch, bounds: Stretch): Stretch {
  const length = Math.min(view.to - view.from, bounds.to - bounds.from)
  const from = Math.min(Math.max(view.from, bounds.from), bounds.to - length)
  return { from, to: from + length }
}

/** `view` made `factor` times as long, with `at` staying where it is on screen. */
export function zoom(view: Stretch, bounds: Stretch, factor: number, at: number): Stretch {
  const length = Math.min(Math.max((view.to - view.from) * factor, LEAST), bounds.to - bounds.from)
  const share = Math.min(1, Math.max(0, (at - view.from) / (view.to - view.from)))
  return within({ from: at - share * length, to: at + (1 - share) * length }, bounds)
}

/** A view of `length` around `at`. */
export function around(bounds: Stretch, length: number, at: number): Stretch {
  return within({ from: at - length / 2, to: at + length / 2 }, bounds)
}

export function pan(view: Stretch, bounds: Stretch, by: number): Stretch {
  return within({ from: view.from + by, to: view.to + by }, bounds)
}

/** `view` moved so that `at` is on it; the same when it is. */
export function follow(view: Stretch, bounds: Stretch, at: number): Stretch {
  if (at >= view.from && at <= view.to) return view
  const length = view.to - view.from
  return within({ from: at - length * 0.1, to: at + length * 0.9 }, bounds)
}

/** Where `at` stands, in percent of the width. */
export function place(view: Stretch, at: number): number {
  return ((at - view.from) / (view.to - view.from)) * 100
}

/** What of `stretches` is on screen; neighbours that no eye can tell apart are one. */
export function shown<T extends Stretch>(stretches: readonly T[], view: Stretch, width: number): T[] {
  const pixel = (view.to - view.from) / Math.max(1, width)
  const found: T[] = []
  for (const one of stretches) {
    if (one.to <= view.from || one.from >= view.to) continue
    const last = found.at(-1)
    if (last && one.from - last.to < pixel && one.to - one.from < 4 * pixel) found[found.length - 1] = { ...last, to: one.to }
    else found.push(one)
  }
  return found
}

export interface Tick {
  at: number
  label: string
}

/** Times to write below the line, about one for each `room` pixels, at round times of the zone. */
export function ticks(view: Stretch, zone: string, width: number, room = 92): Tick[] {
  const most = Math.max(2, Math.floor(width / room))
  const length = view.to - view.from
  const step = STEPS.find((one) => length / one <= most) ?? 24 * HOUR
  const offset = zoneOffset(view.from, zone)
  const found: Tick[] = []
  for (let at = Math.ceil((view.from + offset) / step) * step - offset; at <= view.to; at += step) {
    found.push({ at, label: clockText(at, zone, step < MINUTE) })
  }
  return found
}
