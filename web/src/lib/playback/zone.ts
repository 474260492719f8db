/** Days and times of day in the site's zone. Moments are milliseconds since 1970. */

const DAY = 86_400_000
const formats = new Map<string, Intl.DateTimeFormat>()

function format(key: string, locale: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const name = `${key} ${locale} ${options.timeZone}`
  let found = formats.get(name)
  if (!found) formats.set(name, (found = new Intl.DateTimeFormat(locale, options)))
  return found
}

/** `zone` if this browser knows it, else the browser's own. */
export function knownZone(zone: string): string {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone })
    return zone || Intl.DateTimeFormat().resolvedOptions().timeZone
  } catch {
    return Intl.DateTimeFormat().resolvedOptions().timeZone
  }
}

/** What the clock on the wall says at `at`, as if that were UTC. */
function onWall(at: number, zone: string): number {
  const parts = format('parts', 'en-GB', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  }).formatToParts(at)
  const of = (type: string): number => Number(parts.find((part) => part.type === type)?.value)
  return Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second'))
}

/** How far the zone is ahead of UTC at `at`, in milliseconds. */
export function zoneOffset(at: number, zone: string): number {
  return onWall(at, zone) - Math.floor(at / 1000) * 1000
}

/** The moment at which the clock on the wall says `wall` (as if that were UTC); in a skipped hour the one after. */
function atWall(wall: number, zone: string): number {
  const first = wall - zoneOffset(wall, zone)
  const second = wall - zoneOffset(first, zone)
  return first === second ? first : Math.max(first, second)
}

/** `2026-11-22`. */
export function dayOf(at: number, zone: string): string {
  return new Date(onWall(at, zone)).toISOString().slice(0, 10)
}

/** When `day` begins and ends; 23 or 25 hours when the clocks change. */
export function dayBounds(day: string, zone: string): { from: number; to: number } {
  const wall = Date.parse(`${day}T00:00:00Z`)
  return { from: atWall(wall, zone), to: atWall(wall + DAY, zone) }
}

/** `day` some days later. */
export function shiftDay(day: string, step: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + step * DAY).toISOString().slice(0, 10)
}

/** `14:03:07`, or `14:03` without seconds. */
export function clockText(at: number, zone: string, seconds = true): string {
  const text = new Date(onWall(at, zone)).toISOString()
  return text.slice(11, seconds ? 19 : 16)
}

/** Day and time for people: "22 Nov, 14:03:07". */
export function momentText(at: number, zone: string, locale: string): string {
  return format('moment', locale, {
    timeZone: zone,
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  }).format(at)
}

/** "Sunday, 22 November 2026". */
export function dayText(day: string, locale: string): string {
  return format('day', locale, { timeZone: 'UTC', dateStyle: 'full' }).format(Date.parse(`${day}T12:00:00Z`))
}

/** What an input of type `datetime-local` holds. */
export function toInput(at: number, zone: string): string {
  return new Date(onWall(at, zone)).toISOString().slice(0, 19)
}

/** The moment that such an input means; null when it is empty or no time. */
export function fromInput(text: string, zone: string): number | null {
  const wall = Date.parse(`${text}${text.length === 16 ? ':00' : ''}Z`)
  return Number.isNaN(wall) ? null : atWall(wall, zone)
}

/** An ISO time in milliseconds, with its microseconds: the hub counts in them, `Date` does not. */
export function exactly(iso: string): number {
  const digits = /\.\d{3}(\d{3})/.exec(iso)?.[1]
  return Date.parse(iso) + (digits ? Number(digits) / 1000 : 0)
}
