import { useI18n } from 'vue-i18n'
import type { LogEntry } from '@/api/types'
import { moment } from './time'
import { language } from '@/i18n'
import { toldNames } from './ladder'
import { hubNow } from '@/state/clock'

const words = (value: unknown): string => (typeof value === 'string' ? value : '')

/** Who did what, of an entry of the history, in the person's language; `more` is what its data adds. */
export function useLogText(): {
  actor: (entry: LogEntry) => string
  action: (entry: LogEntry) => string
  more: (entry: LogEntry) => string
} {
  const { t, te } = useI18n()

  function severity(value: unknown): string {
    return te(`severity.${words(value)}`) ? t(`severity.${words(value)}`) : words(value)
  }
  function change(value: unknown): string {
    if (typeof value !== 'object' || value === null || !('to' in value)) return ''
    return 'from' in value ? `${severity(value.from)} → ${severity(value.to)}` : severity(value.to)
  }

  function more(entry: LogEntry): string {
    const { action, data } = entry
    const parts: string[] = []
    if (action === 'rang') {
      const { names, more: others } = toldNames(entry)
      const list = names.join(t('told.and'))
      if (list) parts.push(others > 0 ? t('told.andMore', { names: list, n: others }) : list)
    } else if (action === 'severity_raised') parts.push(change(data))
    else {
      if (te(`progress.is.${words(data.progress)}`)) parts.push(t(`progress.is.${words(data.progress)}`))
      if (te(`answer.given.${words(data.answer)}`)) parts.push(t(`answer.given.${words(data.answer)}`))
      if (typeof data.minutes === 'number') parts.push(t('progress.minutes', { n: data.minutes }))
      if (action === 'escalated' && te(`log.due.${words(data.waiting_for)}`)) parts.push(t(`log.due.${words(data.waiting_for)}`))
      if (action === 'cancel_asked' && data.note) parts.push(words(data.note))
      if (action === 'nobody_reachable' && Array.isArray(data.named)) parts.push(data.named.map(words).join(t('told.and')))
      parts.push(words(data.recipient), words(data.by) === 'policy' ? '' : words(data.by))
      if (te(`channel.${words(data.channel)}`)) parts.push(t(`channel.${words(data.channel)}`))
      parts.push(change(data.severity))
      if (te(`resolution.${words(data.resolution)}`)) parts.push(t(`resolution.${words(data.resolution)}`))
      if (data.until) parts.push(`${t('step.until')} ${moment(words(data.until), hubNow(), language.value)}`)
      if (action === 'transfer' && data.from) parts.push(`${words(data.from)} → ${words(data.department)}`)
      else parts.push(words(data.department), words(data.assignee))
      const other = words(data.into) || words(data.merged) || words(data.unmerged)
      if (other) parts.push(t('incident.number', { number: other }))
    }
    return parts.filter(Boolean).join(' · ')
  }
  return {
    actor: (entry) => ('display_name' in entry.actor ? entry.actor.display_name : t('actor.system')),
    action: (entry) => (te(`log.${entry.action}`) ? t(`log.${entry.action}`) : entry.action),
    more,
  }
}
