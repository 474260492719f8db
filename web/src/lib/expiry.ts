/** How long a token may last: in days, for ever, or to the end of a chosen day. */
export const lifetimes = ['30', '90', '365', 'never', 'day'] as const
export type Lifetime = (typeof lifetimes)[number]

const DAY = 24 * 3600 * 1000

/** The day at `now` (milliseconds) where the browser is, as `yyyy-mm-dd`. */
export function localDay(now: number): string {
  const date = new Date(now)
  const two = (value: number): string => String(value).padStart(2, '0')
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
}

/** When a token made at `now` (milliseconds) expires, ISO 8601 in UTC; null is never. */
export function expiry(lifetime: Lifetime, day: string, now: number): string | null {
  if (lifetime === 'never') return null
  // The chosen day counts to its last second where the browser is.
  if (lifetime === 'day') return new Date(`${day}T23:59:59`).toISOString()
  return new Date(now + Number(lifetime) * DAY).toISOString()
}
