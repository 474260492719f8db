import { useI18n } from 'vue-i18n'
import { areaText } from '@/lib/area'

/** Whom targets of a dispatch policy mean, for an incident of `area`: "duty staff (Jade garden, Riverside), patrol". */
export function useTargetText(): (targets: readonly string[], area: string) => string {
  const { t, te } = useI18n()

  function place(area: string, above: number): string {
    const parts = area.split('/').filter(Boolean)
    return areaText(parts.slice(0, Math.max(0, parts.length - above)).join('/'), 1) || t('told.site')
  }

  return (targets, area) => {
    const levels = new Map<string, Set<number>>()
    for (const target of targets) {
      const [word = '', above = '0'] = target.startsWith('room:') ? [target] : target.split('+')
      levels.set(word, (levels.get(word) ?? new Set()).add(Number(above)))
    }
    const said = [...levels].map(([word, above]) => {
      if (word.startsWith('room:')) return word.slice('room:'.length)
      const name = te(`target.${word}`) ? t(`target.${word}`) : word
      if (Math.max(...above) === 0) return name
      const places = new Set([...above].sort((a, b) => a - b).map((n) => place(area, n)))
      return t('told.of', { name, places: [...places].join(t('told.and')) })
    })
    return said.join(t('told.and'))
  }
}
