import { useI18n } from 'vue-i18n'
import { areaText } from '@/lib/area'

/** Whom a target of a dispatch policy means, for an incident of `area`: "supervisors of Riverside". */
export function useTargetText(): (target: string, area: string) => string {
  const { t, te } = useI18n()
  return (target, area) => {
    if (target.startsWith('room:')) return target.slice('room:'.length)
    const [word = '', above = ''] = target.split('+')
    const name = te(`target.${word}`) ? t(`target.${word}`) : word
    if (!above) return name
    const parts = area.split('/').filter(Boolean)
    const place = areaText(parts.slice(0, Math.max(0, parts.length - Number(above))).join('/'), 1)
    return place ? t('told.of', { name, place }) : t('told.ofAll', { name })
  }
}
