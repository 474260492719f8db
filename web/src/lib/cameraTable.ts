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

/** Host and port of a camera's address; what is no URL stays whole. */
export function hostOf(address: string): string {
  return /^[a-z]+:\/\/(?:[^/@]*@)?([^/?#]+)/i.exec(address)?.[1] ?? address
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
  'retention_hours', 'retention_reason', 'signage', 'residents_may_watch', 'analyse', 'analysed_by', 'recording', 'sound',
  'sound_reason', 'transport', 'latitude', 'longitude', 'heading',
] as const satisfies (keyof Camera)[]
const SPOT = ['plan', 'plan_x', 'plan_y'] as const

const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const

/** Days by name, three and more in a row as a range. */
function daysText(days: readonly string[]): string {
  const runs: number[][] = []
  DAYS.forEach((day, number) => {
    if (!days.includes(day)) return
    const last = runs.at(-1)
    if (last?.at(-1) === number - 1) last.push(number)
    else runs.push([number])
  })
  return runs
    .map((run) => {
      const names = run.map((number) => DAYS[number])
      return names.length > 2 ? `${names[0]}-${names.at(-1)}` : names.join(',')
    })
    .join(',')
}

/** A plan of recording as the import reads it (camera_hub/devices/recording_text.py). */
export function planText({ mode, role, schedule = [] }: Camera['recording']): string {
  const said =
    mode === 'schedule'
      ? schedule.map(({ days, from, to }) => `${daysText(days)} ${from}-${to}`).join('; ')
      : (mode ?? '')
  return said && role === 'sub' ? `${said} sub` : said
}

function told(camera: Camera, column: (typeof COLUMNS)[number]): string {
  if (column === 'recording') {
    return planText(camera.recording)
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

/** Where a camera stands; all three or none, as the import wants them. */
function spotOf(camera: Camera, plans: ReadonlyMap<string, string>): string[] {
  const name = camera.plan_id ? plans.get(camera.plan_id) : undefined
  return name === undefined ? ['', '', ''] : [name, String(camera.plan_x), String(camera.plan_y)]
}

/** The cameras as CSV, with a byte order mark so that spreadsheets read Chinese. `plans`: names by id, as far as they may be seen. */
export function asTable(list: readonly Camera[], plans: ReadonlyMap<string, string> = new Map()): string {
  const rows = list.map((camera) => [...COLUMNS.map((column) => told(camera, column)), ...spotOf(camera, plans)].map(cell).join(','))
  return `\uFEFF${[[...COLUMNS, ...SPOT].join(','), ...rows].join('\r\n')}\r\n`
}
