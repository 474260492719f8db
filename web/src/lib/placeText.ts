import { useI18n } from 'vue-i18n'
import { fromHours, unitOf } from './retention'

/** The kind of place as people call it; `title` of the law where the console knows no word. */
export function usePlaceType(): (key: string, title?: string) => string {
  const { t, te } = useI18n()
  return (key, title) => (te(`law.places.${key}`) ? t(`law.places.${key}`) : (title ?? key.replaceAll('_', ' ')))
}

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
