import { useI18n } from 'vue-i18n'
import type { Grant, ScheduleEntry } from '@/api/types'
import { language } from '@/i18n'
import { hubNow } from '@/state/clock'
import { clockTime } from './days'
import type { Looking } from './grants'
import { daysAsRun } from './hours'

/** Names as people list them: "Li Wei and Wang Fang". */
export function listed(names: readonly string[]): string {
  return new Intl.ListFormat(language.value, { type: 'conjunction' }).format(names)
}

/** A day and a time; the time alone when it is today. */
export function shortMoment(at: number | string): string {
  const date = new Date(at)
  const time = clockTime(date.toISOString(), language.value)
  const today = new Date(hubNow())
  if (date.toDateString() === today.toDateString()) return time
  const day = new Intl.DateTimeFormat(language.value, {
    day: 'numeric',
    month: 'short',
    year: date.getFullYear() === today.getFullYear() ? undefined : 'numeric',
  }).format(date)
  return `${day} ${time}`
}

/** Sentences about consents, in the person's language. */
export function useGrantText(): {
  looking: (item: Looking) => string
  hours: (grant: Grant) => string
  who: (grant: Grant) => string
} {
  const { t } = useI18n()
  const span = ({ days, from, to }: ScheduleEntry): string => {
    const run = daysAsRun(days)
    if (run === 'all') return t('home.hoursDaily', { from, to })
    const named = Array.isArray(run)
      ? listed(run.map((day) => t(`weekday.${day}`)))
      : t('home.dayRun', { first: t(`weekday.${run.first}`), last: t(`weekday.${run.last}`) })
    return t('home.hoursOn', { days: named, from, to })
  }
  return {
    looking: (item) => {
      if (item.kind === 'nobody') return t('home.onlyHousehold')
      if (item.kind === 'alarm') {
        return item.names.length > 0 ? t('home.openByAlarm', { names: listed(item.names) }) : t('home.openByAlarmNobody')
      }
      return item.until === null
        ? t('home.openTo', { name: item.name })
        : t('home.openToUntil', { name: item.name, until: shortMoment(item.until) })
    },
    hours: ({ kind, hours }) => {
      if (kind === 'alarm') return t('home.hoursAlarm')
      return hours.length === 0 ? t('home.hoursAlways') : hours.map(span).join(t('home.joint'))
    },
    who: (grant) => grant.grantee?.display_name ?? t('home.dutyStaff'),
  }
}
