/** When a camera is recorded: the form and its faults. */
import type { RecordingMode, RecordingPlan } from '@/api/devices'
import type { Camera } from '@/api/types'
import { hoursFault, type HoursFault } from './hours'
import { weekdays } from './zones'

export const recordingModes = ['off', 'always', 'schedule', 'event'] as const satisfies RecordingMode[]
export const PRE_MOST = 60
export const POST_MOST = 600

/** A copy to edit; a schedule has hours to begin with. */
export function planForm(plan: Camera['recording']): Required<RecordingPlan> {
  const { mode = 'off', role = 'main', schedule = [], pre_s = 10, post_s = 30 } = plan
  return { mode, role, schedule: schedule.map((entry) => ({ ...entry, days: [...entry.days] })), pre_s, post_s }
}

/** The form with `mode`; hours appear where there are none. */
export function withMode(plan: RecordingPlan, mode: RecordingMode): RecordingPlan {
  const schedule = plan.schedule ?? []
  const none = mode === 'schedule' && schedule.length === 0
  return { ...plan, mode, schedule: none ? [{ days: [...weekdays], from: '20:00', to: '06:00' }] : schedule }
}

export type PlanFault = HoursFault | 'noHours' | 'pre' | 'post'

export function planFault(plan: RecordingPlan): PlanFault | null {
  if (plan.mode === 'schedule') {
    const schedule = plan.schedule ?? []
    return schedule.length === 0 ? 'noHours' : hoursFault(schedule)
  }
  if (plan.mode === 'event') {
    const { pre_s: pre = NaN, post_s: post = NaN } = plan
    if (!(pre >= 0 && pre <= PRE_MOST)) return 'pre'
    if (!(post >= 1 && post <= POST_MOST)) return 'post'
  }
  return null
}

/** Hours that are not asked for are kept out of what is sent, so that a day without hours hinders nothing. */
export function planBody(plan: RecordingPlan): RecordingPlan {
  return plan.mode === 'schedule' ? plan : { ...plan, schedule: (plan.schedule ?? []).filter((entry) => hoursFault([entry]) === null) }
}

export function samePlan(one: RecordingPlan, other: RecordingPlan): boolean {
  return JSON.stringify(planForm(one as Camera['recording'])) === JSON.stringify(planForm(other as Camera['recording']))
}
