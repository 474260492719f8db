/** Weekly hours as people set them; times are those of the browser's place. */
import type { ScheduleEntry, Weekday } from '@/api/types'
import { weekdays } from './zones'

const MINUTES_A_DAY = 24 * 60
const DAY_MS = MINUTES_A_DAY * 60_000

function minutes(time: string): number {
  const [hour = 0, minute = 0] = time.split(':').map(Number)
  return hour * 60 + minute
}

/** The weekday of `date`, `later` days on. */
function weekday(date: Date, later = 0): Weekday {
  // Date counts from Sunday, the hub from Monday.
  return weekdays[(date.getDay() + 6 + later + 7) % 7] as Weekday
}

/** When the window that is open at `date` ends; null when none is open. No hours at all is always. */
export function openUntil(hours: readonly ScheduleEntry[], date: Date): Date | 'always' | null {
  if (hours.length === 0) return 'always'
  const minute = date.getHours() * 60 + date.getMinutes()
  let best: number | null = null
  for (const { days, from, to } of hours) {
    const [start, end] = [minutes(from), minutes(to)]
    let left: number | null = null
    // The same time twice is the whole day, as the hub has it.
    if (start === end) {
      if (days.includes(weekday(date))) left = MINUTES_A_DAY - minute
    } else if (start < end) {
      if (days.includes(weekday(date)) && minute >= start && minute < end) left = end - minute
    } else {
      // Over midnight: begun today, or begun yesterday and still running.
      if (days.includes(weekday(date)) && minute >= start) left = MINUTES_A_DAY - minute + end
      else if (days.includes(weekday(date, -1)) && minute < end) left = end - minute
    }
    if (left !== null && (best === null || left > best)) best = left
  }
  if (best === null) return null
  const until = new Date(date)
  until.setMinutes(until.getMinutes() + best, 0, 0)
  return until
}

/** The next moment at which a window opens after `date`; null without one. */
export function opensNext(hours: readonly ScheduleEntry[], date: Date): Date | null {
  let best: Date | null = null
  for (const { days, from, to } of hours) {
    for (let later = 0; later <= 7; later += 1) {
      if (!days.includes(weekday(date, later))) continue
      const start = new Date(date)
      start.setDate(start.getDate() + later)
      start.setHours(0, from === to ? 0 : minutes(from), 0, 0)
      if (start > date && (best === null || start < best)) best = start
    }
  }
  return best
}

export type HoursFault = 'days' | 'times'

/** What keeps `hours` from being saved; null when nothing does. */
export function hoursFault(hours: readonly ScheduleEntry[]): HoursFault | null {
  for (const { days, from, to } of hours) {
    if (days.length === 0) return 'days'
    if (!from || !to) return 'times'
  }
  return null
}

/** How `days` are told shortest: all of them, a run, or one by one. */
export function daysAsRun(days: readonly Weekday[]): 'all' | { first: Weekday; last: Weekday } | Weekday[] {
  const sorted = weekdays.filter((day) => days.includes(day))
  if (sorted.length === 7) return 'all'
  const [first, last] = [sorted[0], sorted.at(-1)]
  if (first && last && sorted.length > 2 && weekdays.indexOf(last) - weekdays.indexOf(first) === sorted.length - 1)
    return { first, last }
  return sorted
}

/** The last moment of the day `days` from `now`, where the browser is. */
export function endOfDay(now: number, days: number): Date {
  const date = new Date(now + days * DAY_MS)
  date.setHours(23, 59, 59, 0)
  return date
}
