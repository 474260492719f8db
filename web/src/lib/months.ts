/** Months as `2026-11`, the way the hub names them. */

export function monthOf(date: Date): string {
  return `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, '0')}`
}

/** The month `step` months after `month`. */
export function shiftMonth(month: string, step: number): string {
  const [year = 1970, number = 1] = month.split('-').map(Number)
  return monthOf(new Date(year, number - 1 + step, 1))
}

/** `count` months that end with the one of `date`, newest first. */
export function lastMonths(date: Date, count: number): string[] {
  const newest = monthOf(date)
  return Array.from({ length: count }, (_, index) => shiftMonth(newest, -index))
}

export function isMonth(text: string): boolean {
  return /^\d{4}-(0[1-9]|1[0-2])$/.test(text)
}

/** "November 2026". */
export function monthName(month: string, locale: string): string {
  const [year = 1970, number = 1] = month.split('-').map(Number)
  return new Intl.DateTimeFormat(locale, { year: 'numeric', month: 'long' }).format(new Date(year, number - 1, 1))
}
