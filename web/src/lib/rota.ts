/** A week of duty, in the wall time of the site. Days count from Monday (0) to Sunday (6). */

export interface Shift {
  weekday: number
  /** "HH:MM" */
  starts: string
  /** "HH:MM"; not after `starts`: on the next day. */
  ends: string
  account_id: string
}

/** The same hours of one person on several days, as they are edited. */
export interface ShiftGroup {
  days: number[]
  starts: string
  ends: string
  account_id: string
}

/** A piece of a shift within one day, in minutes from midnight. */
export interface Piece {
  day: number
  from: number
  to: number
  account_id: string
  /** Beside how many others, and in which column. */
  lane: number
  lanes: number
  /** It began on the day before. */
  continued: boolean
  /** The index of the shift it is of. */
  shift: number
}

export interface Gap {
  day: number
  from: number
  to: number
}

export const DAY = 24 * 60
export const days = [0, 1, 2, 3, 4, 5, 6] as const

export function minutesOf(time: string): number {
  const [hour = 0, minute = 0] = time.split(':').map(Number)
  return hour * 60 + minute
}

/** "08:05"; the end of the day is 24:00. */
export function timeOf(minutes: number): string {
  return `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`
}

/** Whether a shift goes on into the next day. */
export function overnight({ starts, ends }: { starts: string; ends: string }): boolean {
  return minutesOf(ends) <= minutesOf(starts)
}

type Bare = Pick<Piece, 'day' | 'from' | 'to' | 'account_id' | 'continued' | 'shift'>

function cut(shifts: readonly Shift[]): Bare[] {
  const pieces = shifts.flatMap(({ weekday: day, starts, ends, account_id }, shift): Bare[] => {
    const [from, to] = [minutesOf(starts), minutesOf(ends)]
    if (to > from) return [{ day, from, to, account_id, continued: false, shift }]
    return [
      { day, from, to: DAY, account_id, continued: false, shift },
      { day: (day + 1) % 7, from: 0, to, account_id, continued: true, shift },
    ]
  })
  return pieces.filter(({ from, to }) => to > from)
}

/** The pieces of every day, those at the same time side by side. */
export function pieces(shifts: readonly Shift[]): Piece[] {
  return days.flatMap((day) => {
    const own = cut(shifts)
      .filter((piece) => piece.day === day)
      .sort((a, b) => a.from - b.from || a.to - b.to)
    const ends: number[] = []
    const placed = own.map((piece): Piece => {
      const free = ends.findIndex((end) => end <= piece.from)
      const lane = free === -1 ? ends.length : free
      ends[lane] = piece.to
      return { ...piece, lane, lanes: 1 }
    })
    return placed.map((piece) => {
      const beside = placed.filter((other) => other.from < piece.to && piece.from < other.to)
      return { ...piece, lanes: 1 + Math.max(...beside.map(({ lane }) => lane)) }
    })
  })
}

/** When nobody is on duty, by day. */
export function gaps(shifts: readonly Shift[]): Gap[] {
  const own = cut(shifts)
  return days.flatMap((day) => {
    const found: Gap[] = []
    let covered = 0
    for (const { from, to } of own.filter((piece) => piece.day === day).sort((a, b) => a.from - b.from)) {
      if (from > covered) found.push({ day, from: covered, to: from })
      covered = Math.max(covered, to)
    }
    if (covered < DAY) found.push({ day, from: covered, to: DAY })
    return found
  })
}

/** Gaps at the same hours told together: "02:00–06:00 on Saturday and Sunday". */
export function gapsByHours(shifts: readonly Shift[]): { from: number; to: number; days: number[] }[] {
  const groups = new Map<string, { from: number; to: number; days: number[] }>()
  for (const { day, from, to } of gaps(shifts)) {
    const key = `${from}-${to}`
    const group = groups.get(key) ?? { from, to, days: [] }
    group.days.push(day)
    groups.set(key, group)
  }
  return [...groups.values()].sort((a, b) => a.from - b.from)
}

/** Shifts of one person at the same hours as one line with its days. */
export function grouped(shifts: readonly Shift[]): ShiftGroup[] {
  const groups = new Map<string, ShiftGroup>()
  for (const { weekday, starts, ends, account_id } of shifts) {
    const key = `${account_id} ${starts} ${ends}`
    const group = groups.get(key) ?? { days: [], starts, ends, account_id }
    if (!group.days.includes(weekday)) group.days.push(weekday)
    groups.set(key, group)
  }
  return [...groups.values()].map((group) => ({ ...group, days: group.days.sort((a, b) => a - b) }))
}

export function ungrouped(groups: readonly ShiftGroup[]): Shift[] {
  return groups.flatMap(({ days: on, starts, ends, account_id }) =>
    on.map((weekday) => ({ weekday, starts, ends, account_id })),
  )
}
