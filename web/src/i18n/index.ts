import type { Language as ElementLanguage } from 'element-plus/es/locale'
import { computed, shallowRef } from 'vue'
import { createI18n } from 'vue-i18n'
import { remember, remembered } from '@/lib/remember'

export const languages = ['zh-CN', 'en'] as const
export type Language = (typeof languages)[number]

/** The console's language for a browser that prefers `wanted`, best first. */
export function pickLanguage(stored: string | null, wanted: readonly string[]): Language {
  const known = languages.find((language) => language === stored)
  if (known) return known
  for (const tag of wanted) {
    const primary = tag.toLowerCase().split('-')[0]
    if (primary === 'zh') return 'zh-CN'
    if (primary === 'en') return 'en'
  }
  return 'en'
}

const loaders = {
  en: () => import('./en.json'),
  'zh-CN': () => import('./zh-CN.json'),
} satisfies Record<Language, () => Promise<{ default: object }>>

const elementLoaders = {
  en: () => import('element-plus/es/locale/lang/en'),
  'zh-CN': () => import('element-plus/es/locale/lang/zh-cn'),
} satisfies Record<Language, () => Promise<{ default: ElementLanguage }>>

/** The texts inside Element Plus's own components. */
export const elementLanguage = shallowRef<ElementLanguage>()

export const i18n = createI18n({
  legacy: false,
  locale: 'en',
  fallbackLocale: 'en',
  missingWarn: false,
  fallbackWarn: false,
  messages: {} as Record<string, never>,
})

export const language = computed(() => i18n.global.locale.value as Language)

export async function useLanguage(next: Language, store = true): Promise<void> {
  const [messages, element] = await Promise.all([loaders[next](), elementLoaders[next]()])
  elementLanguage.value = element.default
  i18n.global.setLocaleMessage(next, messages.default as never)
  i18n.global.locale.value = next as never
  document.documentElement.lang = next
  if (store) remember('language', next)
}

/** Loads the remembered language, or the browser's. */
export async function startLanguage(): Promise<void> {
  await useLanguage(pickLanguage(remembered('language'), navigator.languages), false)
}
