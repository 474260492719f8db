/** The list of cameras: filters, and the same list as a table for a spreadsheet. */
import type { Camera } from '@/api/types'

export interface CameraFilter {
  text: string
  state: '' | 'online' | 'trouble' | 'disabled'
  area: string
  recording: '' | Camera['recording']['mode']
}

export function within(area: string, wanted: string): boolean {
  return wanted === '' || area === wanted || area.startsWith(`${wanted}/`)
}

export function stateGroup(camera: Camera): 'online' | 'trouble' | 'disabled' {
  const { state } = camera.status
  if (!camera.enabled || state === 'disabled') return 'disabled'
  return state === 'online' ? 'online' : 'trouble'
}

export function matching(list: readonly Camera[], filter: CameraFilter): Camera[] {
  const word = filter.text.trim().toLowerCase()
  return list.filter(
    (camera) =>
      (!word || [camera.name, camera.area, camera.address].some((text) => text.toLowerCase().includes(word))) &&
      (!filter.state || stateGroup(camera) === filter.state) &&
      (!filter.recording || camera.recording.mode === filter.recording) &&
      within(camera.area, filter.area),
  )
}

/** Every area that a camera is in, and those above it. */
export function areasOf(list: readonly Camera[]): string[] {
  const found = new Set<string>()
  for (const { area } of list) {
    const parts = area.split('/').filter(Boolean)
    parts.forEach((_, index) => found.add(parts.slice(0, index + 1).join('/')))
  }
  return [...found].sort()
}

/** Columns as the import has them (camera_hub/devices/importing.py); passwords never leave the hub. */
const COLUMNS = [
  'name', 'area', 'place_kind', 'place_type', 'household_id', 'source_kind', 'address', 'username', 'purpose', 'owner', 'contact',
  'retention_hours', 'retention_reason', 'signage', 'residents_may_watch', 'analyse', 'recording', 'transport', 'latitude',
  'longitude', 'heading',
] as const satisfies (keyof Camera)[]

function told(camera: Camera, column: (typeof COLUMNS)[number]): string {
  if (column === 'recording') {
    const { mode, role } = camera.recording
    // Hours do not fit into a cell: the import leaves them to the camera's page.
    return mode === 'schedule' ? '' : role === 'sub' ? `${mode} sub` : mode
  }
  const value = camera[column]
  if (value === null || value === undefined) return ''
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  return String(value)
}

/** A cell; what a spreadsheet would take for a formula is told as text. */
function cell(text: string): string {
  const plain = /^[=+@\t\r]|^-(?!\d)/.test(text) ? `'${text}` : text
  return /[",\n\r;]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain
}

/** The cameras as CSV, with a byte order mark so that spreadsheets read Chinese. */
export function asTable(list: readonly Camera[]): string {
  const rows = list.map((camera) => COLUMNS.map((column) => cell(told(camera, column))).join(','))
  return `\uFEFF${[COLUMNS.join(','), ...rows].join('\r\n')}\r\n`
}
