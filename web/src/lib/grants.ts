/** What a household's consents mean at a moment. */
import type { Grant } from '@/api/types'
import { openUntil, opensNext } from './hours'

/** Who else may look at a moment, and until when (milliseconds; null without an end). */
export type Looking =
  | { kind: 'nobody' }
  | { kind: 'share'; name: string; until: number | null }
  | { kind: 'alarm'; names: string[] }

/**
 * The last moment at which `grant` lets its person look without a break; null when it does not at `now`.
 * Whether it is open is the hub's word; the hours are those of the browser's place.
 */
export function shareOpenUntil(grant: Grant, now: number): number | null {
  if (grant.kind !== 'share' || grant.state !== 'live' || !grant.open_now) return null
  const end = grant.ends_at === null ? Infinity : Date.parse(grant.ends_at)
  if (end <= now) return null
  const window = openUntil(grant.hours, new Date(now))
  return window === null || window === 'always' ? end : Math.min(end, window.getTime())
}

/** Everybody outside the household who may look at `now`. */
export function lookingNow(grants: readonly Grant[], now: number): Looking[] {
  const found: Looking[] = []
  for (const grant of grants) {
    if (grant.kind === 'alarm') {
      if (grant.state === 'live' && grant.open_now)
        found.push({ kind: 'alarm', names: grant.answering.map((account) => account.display_name) })
      continue
    }
    const until = shareOpenUntil(grant, now)
    if (until !== null)
      found.push({ kind: 'share', name: grant.grantee?.display_name ?? '', until: Number.isFinite(until) ? until : null })
  }
  return found.length > 0 ? found : [{ kind: 'nobody' }]
}

/** When a share that is closed at `now` opens next; null when it is open or never opens again. */
export function shareOpensNext(grant: Grant, now: number): Date | null {
  if (grant.kind !== 'share' || grant.state !== 'live' || shareOpenUntil(grant, now) !== null) return null
  const next = opensNext(grant.hours, new Date(now))
  if (next === null || (grant.ends_at !== null && next.getTime() >= Date.parse(grant.ends_at))) return null
  return next
}

/** The standing consent to be seen in an alarm, if there is one. */
export function alarmConsent(grants: readonly Grant[]): Grant | undefined {
  return grants.find((grant) => grant.kind === 'alarm' && grant.state === 'live')
}
