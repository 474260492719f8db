/** How long recordings are kept: the hub counts hours, people count days. */

export type RetentionUnit = 'hours' | 'days'

/** Whole days are told as days. */
export function unitOf(hours: number): RetentionUnit {
  return hours >= 48 && hours % 24 === 0 ? 'days' : 'hours'
}

export function toHours(value: number, unit: RetentionUnit): number {
  return Math.round(unit === 'days' ? value * 24 : value)
}

export function fromHours(hours: number, unit: RetentionUnit): number {
  return unit === 'days' ? Math.round((hours / 24) * 100) / 100 : hours
}
