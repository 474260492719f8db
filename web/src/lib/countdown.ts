/** The time left until `iso` at `now` (milliseconds) in the largest fitting unit; null when it is over. */
export function timeLeft(iso: string, now: number): { unit: 'days' | 'hours' | 'minutes'; n: number } | null {
  const minutes = (Date.parse(iso) - now) / 60_000
  if (minutes <= 0) return null
  if (minutes < 90) return { unit: 'minutes', n: Math.max(1, Math.floor(minutes)) }
  if (minutes < 48 * 60) return { unit: 'hours', n: Math.floor(minutes / 60) }
  return { unit: 'days', n: Math.floor(minutes / (24 * 60)) }
}
