/** The alarm page's own small translations: the console's are ten times its size. */
import { computed, ref } from 'vue'
import { remember, remembered } from '@/lib/remember'
import { texts, type Key } from './texts'

export const languages = ['zh-CN', 'en'] as const
export type Language = (typeof languages)[number]

function first(): Language {
  const stored = remembered('language')
  const known = languages.find((language) => language === stored)
  if (known) return known
  return /^zh/i.test(navigator.language || 'zh') ? 'zh-CN' : 'en'
}

export const language = ref<Language>('zh-CN')

function apply(next: Language): void {
  language.value = next
  document.documentElement.lang = next
}

export function startWords(): void {
  apply(first())
}

export function useLanguage(next: Language): void {
  apply(next)
  remember('language', next)
}

export const otherLanguage = computed<Language>(() => (language.value === 'en' ? 'zh-CN' : 'en'))

export function fill(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (hole, name: string) => String(values[name] ?? hole))
}

/** The text `key` in the language that is on. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return fill(texts[language.value][key], values)
}

/** A time of the hub, such as 14:05; with the day when that is not today by the hub's clock. */
export function clock(at: string, nowMs: number): string {
  const moment = new Date(at)
  const time: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit', hour12: false }
  const sameDay = moment.toDateString() === new Date(nowMs).toDateString()
  const day: Intl.DateTimeFormatOptions = sameDay ? {} : { month: 'numeric', day: 'numeric' }
  return new Intl.DateTimeFormat(language.value, { ...day, ...time }).format(moment)
}

export function day(at: string): string {
  return new Intl.DateTimeFormat(language.value, { year: 'numeric', month: 'numeric', day: 'numeric' }).format(new Date(at))
}

/** A span that has gone by, such as "40 s" or "5 min". */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 100) return t('seconds', { n: seconds })
  const minutes = Math.round(seconds / 60)
  if (minutes < 100) return t('minutes', { n: minutes })
  const hours = Math.round(minutes / 60)
  return hours < 48 ? t('hours', { n: hours }) : t('days', { n: Math.round(hours / 24) })
}
