import { useI18n } from 'vue-i18n'
import type { Area } from '@/api/setup'
import type { ScheduleEntry } from '@/api/types'
import { language } from '@/i18n'
import { nameOf } from './areaTree'
import { listed } from './grantText'
import { daysAsRun } from './hours'
import { everyText, merged, readTarget, spanText, type Policy, type PolicyStep } from './policies'

/** What the hub's own policies are called in their file (governance/dispatch/dispatch.yaml); a name of one's own stays. */
export const cameWithTheHub: Readonly<Record<string, string>> = {
  exercise: 'Exercises',
  test: 'Test presses',
  alarms: 'One-key alarms',
  extreme: 'Anything that threatens life, seen by a camera',
  faults: 'Faults of cameras, devices and of the hub itself',
  severe: 'Severe cases',
  moderate: 'Moderate cases',
  reports: 'Reports and everything else',
}

/** Dispatch policies in plain words, in the person's language. */
export function usePolicyText(areas: () => readonly Area[]): {
  target: (target: string) => string
  channel: (channel: string) => string
  kind: (kind: string) => string
  span: (seconds: number) => string
  name: (policy: Pick<Policy, 'id' | 'name'>) => string
  when: (policy: Policy) => string
  step: (step: PolicyStep) => string
  after: (policy: Policy) => string[]
} {
  const { t, te } = useI18n()
  const span = (seconds: number): string => spanText(seconds, language.value)
  const kind = (name: string): string => (te(`kind.${name}`) ? t(`kind.${name}`) : name)
  const channel = (name: string): string => (te(`via.${name}`) ? t(`via.${name}`) : name)
  const group = ({ word, from, above, room }: ReturnType<typeof merged>[number]): string => {
    if (word === 'room') return t('policies.room', { room })
    const name = te(`whom.${word}`) ? t(`whom.${word}`) : word
    if (above === 0) return name
    if (from === 0 && above === 1) return t('policies.upToOne', { name })
    if (from < above) return t(from === 0 ? 'policies.upTo' : 'policies.between', { name, from, n: above })
    return above === 1 ? t('policies.aboveOne', { name }) : t('policies.above', { name, n: above })
  }
  const target = (text: string): string => {
    const { word, above, room } = readTarget(text)
    return group({ word, from: above, above, room })
  }
  const hours = ({ days, from, to }: ScheduleEntry): string => {
    const run = daysAsRun(days)
    if (run === 'all') return t('home.hoursDaily', { from, to })
    const named = Array.isArray(run)
      ? listed(run.map((day) => t(`weekday.${day}`)))
      : t('home.dayRun', { first: t(`weekday.${run.first}`), last: t(`weekday.${run.last}`) })
    return t('home.hoursOn', { days: named, from, to })
  }
  return {
    target,
    channel,
    kind,
    span,
    name: ({ id, name }) => (cameWithTheHub[id] === name ? t(`policies.came.${id}`) : name || id),
    when: ({ match }) => {
      const parts = [match.kinds.length ? listed(match.kinds.map(kind)) : t('policies.anyKind')]
      if (match.severities.length) parts.push(t('policies.ofSeverity', { severities: listed(match.severities.map((name) => t(`severity.${name}`))) }))
      if (match.statuses.length) parts.push(listed(match.statuses.map((name) => t(`policies.status.${name}`))))
      if (match.areas.length) parts.push(t('policies.inAreas', { areas: listed(match.areas.map((path) => nameOf(path, areas()))) }))
      if (match.times.length) parts.push(match.times.map(hours).join(t('home.joint')))
      return parts.join(t('policies.comma'))
    },
    step: ({ after_s, targets, channels, whistle }) => {
      const who = listed(merged(targets).map(group))
      const told = channels.length
        ? t('policies.tell', { who, channels: listed(channels.map(channel)) })
        : t('policies.tellConsole', { who })
      const what = [targets.length ? told : '', whistle ? t('policies.whistles') : ''].filter(Boolean).join(t('policies.comma'))
      return after_s === 0 ? t('policies.atOnce', { what }) : t('policies.later', { after: span(after_s), what })
    },
    after: (policy) => {
      const lines = [t('policies.repeats', { every: everyText(policy.repeat_s, language.value) })]
      if (policy.progress_s > 0) lines.push(t('policies.progress', { after: span(policy.progress_s) }))
      if (policy.triage === 'required') lines.push(t('policies.triageRequired', { within: span(policy.limits.triage_s) }))
      lines.push(t('policies.handleWithin', { within: span(policy.limits.handle_s) }))
      if (policy.verifier === 'other') lines.push(t('policies.verifierOther'))
      if (policy.result_photos > 0) lines.push(t('policies.photos', { n: policy.result_photos }))
      return lines
    },
  }
}
