/** How long a viewing lasted, in the words people use. */
import type { Digest, Viewing } from '@/api/types'

export type Lasted = { unit: 'seconds' | 'minutes' | 'hours'; n: number }

/** The length of a viewing at `now` (milliseconds); null for a single picture. */
export function lasted(viewing: Pick<Viewing, 'kind' | 'started_at' | 'ended_at'>, now: number): Lasted | null {
  if (viewing.kind !== 'live' && viewing.kind !== 'playback') return null
  const end = viewing.ended_at === null ? now : Date.parse(viewing.ended_at)
  return inWords(Math.max(0, end - Date.parse(viewing.started_at)) / 1000)
}

/** Seconds as the largest unit that says it in a small number. */
export function inWords(seconds: number): Lasted {
  if (seconds < 90) return { unit: 'seconds', n: Math.max(1, Math.round(seconds)) }
  if (seconds < 90 * 60) return { unit: 'minutes', n: Math.round(seconds / 60) }
  return { unit: 'hours', n: Math.round(seconds / 360) / 10 }
}

/** How often somebody from outside the household looked into the home. */
export function othersAtHome(digest: Pick<Digest, 'cameras'>): number {
  return digest.cameras
    .filter((camera) => camera.place_kind === 'home')
    .reduce((sum, camera) => sum + camera.viewings - (camera.by_role.household ?? 0), 0)
}

/** How often anybody looked at the building's shared cameras. */
export function viewingsOfShared(digest: Pick<Digest, 'cameras'>): number {
  return digest.cameras
    .filter((camera) => camera.place_kind !== 'home')
    .reduce((sum, camera) => sum + camera.viewings, 0)
}
