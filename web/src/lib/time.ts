/** Times for people. Inputs are ISO 8601; output is in the browser's time zone. */
const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const relative = new Map<string, Intl.RelativeTimeFormat>()
const absolute = new Map<string, Intl.DateTimeFormat>()

/** "12 seconds ago" at `now` (milliseconds). */
export function ago(iso: string, now: number, locale: string): string {
  let format = relative.get(locale)
  if (!format) relative.set(locale, (format = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' })))
  const past = Math.max(0, now - Date.parse(iso))
  if (past < MINUTE) return format.format(-Math.floor(past / SECOND), 'second')
  if (past < HOUR) return format.format(-Math.floor(past / MINUTE), 'minute')
  if (past < DAY) return format.format(-Math.floor(past / HOUR), 'hour')
  return format.format(-Math.floor(past / DAY), 'day')
}

/** Day, month, time to the second; the year only when it is not the present one. */
export function moment(iso: string, now: number, locale: string): string {
  const date = new Date(iso)
  const year = date.getFullYear() !== new Date(now).getFullYear()
  const key = `${locale}${year}`
  let format = absolute.get(key)
  if (!format) {
    format = new Intl.DateTimeFormat(locale, {
      year: year ? 'numeric' : undefined,
      month: 'short',
      day: 'numeric',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
      hourCycle: 'h23',
    })
    absolute.set(key, format)
  }
  return format.format(date)
}

/** A running time as `m:ss` or `h:mm:ss`. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / SECOND))
  const tail = String(seconds % 60).padStart(2, '0')
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes}:${tail}`
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}:${tail}`
}
