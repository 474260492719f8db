import type { RecordingLock } from '@/api/playback'

const columns = ['id', 'camera_id', 'camera_name', 'from', 'to', 'reason', 'incident_id', 'requested_by', 'created_at', 'expires_at', 'state', 'ended_at', 'ended_by'] as const

/** A cell of CSV (RFC 4180); what a spreadsheet would take for a formula begins with an apostrophe. */
function cell(value: string): string {
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

/** Locks as CSV, times in UTC; a mark at its beginning tells spreadsheets that it is UTF-8. */
export function locksCsv(locks: readonly RecordingLock[]): string {
  const rows = locks.map((lock) =>
    columns.map((column) => {
      const value = lock[column]
      return cell(typeof value === 'object' ? (value?.username ?? '') : value)
    }),
  )
  return `\uFEFF${[columns, ...rows].map((row) => row.join(',')).join('\r\n')}\r\n`
}
