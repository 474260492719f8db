/** What is recorded of a camera in a day, as the timeline draws it. */
import type { GapReason, RecordingLock, Recordings } from '@/api/playback'
import type { Stretch } from './timeline'
import { exactly } from './zone'

export interface IncidentMark {
  id: string
  number: string
  severity: string
  at: number
}

export interface CameraPast {
  id: string
  name: string
  spans: Stretch[]
  gaps: (Stretch & { reason: GapReason })[]
  motion: Stretch[]
  locks: Stretch[]
  incidents: IncidentMark[]
  kept: RecordingLock[]
  oldest: string | null
  retention: number | null
}

const stretch = ({ from, to }: { from: string; to: string }): Stretch => ({ from: exactly(from), to: exactly(to) })

export function pastOf(id: string, name: string, told: Recordings): CameraPast {
  return {
    id,
    name,
    spans: told.spans.map(stretch),
    gaps: told.gaps.map((gap) => ({ ...stretch(gap), reason: gap.reason })),
    motion: told.spans.flatMap((span) => span.motion.map(stretch)),
    locks: told.locks.filter((lock) => lock.state === 'active').map(stretch),
    incidents: told.incidents.map(({ id: of, number, severity, at }) => ({ id: of, number, severity, at: exactly(at) })),
    kept: told.locks.filter((lock) => lock.state === 'active'),
    oldest: told.oldest_at,
    retention: told.retention_h,
  }
}

/** Why nothing is recorded of a camera at `at`. */
export function gapAt(past: CameraPast | undefined, at: number): GapReason {
  return past?.gaps.find((gap) => at >= gap.from && at < gap.to)?.reason ?? 'unknown'
}
