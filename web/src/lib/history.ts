import type { LogEntry } from '@/api/types'

/** What the hub writes for each further signal of a running event; told together. */
const running = new Set(['joined', 'continuing', 'ended'])

export interface HistoryLine {
  entry: LogEntry
  /** How many entries of the log this line stands for. */
  count: number
  /** When the last of them was. */
  until: string
}

/** The log in order of time, with runs of further signals in one line each. */
export function historyLines(log: readonly LogEntry[]): HistoryLine[] {
  const lines: HistoryLine[] = []
  for (const entry of [...log].sort((a, b) => a.id - b.id)) {
    const last = lines.at(-1)
    if (last && running.has(entry.action) && running.has(last.entry.action)) {
      last.count += 1
      last.until = entry.at
    } else lines.push({ entry, count: 1, until: entry.at })
  }
  return lines
}
