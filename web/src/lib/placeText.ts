import { useI18n } from 'vue-i18n'
import { fromHours, unitOf } from './retention'

/** "30 days", "12 hours", or that nothing is kept. */
export function useRetention(): (hours: number | null | undefined) => string {
  const { t } = useI18n()
  return (hours) => {
    if (hours === null || hours === undefined) return t('law.retentionUnset')
    if (hours === 0) return t('law.retentionNone')
    const unit = unitOf(hours)
    return t(`law.kept.${unit}`, { n: fromHours(hours, unit) })
  }
}
