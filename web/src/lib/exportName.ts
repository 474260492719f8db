import { useI18n } from 'vue-i18n'
import type { Export } from '@/api/types'

/** What an export holds, in a line: pictures of an incident, or recordings of cameras. */
export function useExportName(): (item: Export) => string {
  const { t, locale } = useI18n()
  return (item) => {
    if (item.recordings.length === 0) return t('exports.of', { number: item.incident_number })
    const names = [...new Set(item.recordings.map((one) => one.camera_name))]
    const recordings = t('exports.ofRecordings', { names: new Intl.ListFormat(locale.value).format(names) })
    return item.incident_id ? `${recordings} · ${t('exports.of', { number: item.incident_number })}` : recordings
  }
}

/** For how many days an export can be fetched. */
export const exportDays = ['1', '3', '7', '14', '30'] as const
export type ExportDays = (typeof exportDays)[number]
