import { ref, watch, type Ref } from 'vue'
import { remember, remembered } from '@/lib/remember'

function choice<T extends string>(name: string, options: readonly T[], fallback: T): Ref<T> {
  const stored = options.find((option) => option === remembered(name))
  const value = ref(stored ?? fallback) as Ref<T>
  watch(value, (next) => remember(name, next))
  return value
}

export const themes = ['system', 'light', 'dark'] as const
export const theme = choice('theme', themes, 'system')

export const densities = ['large', 'medium', 'small'] as const
export const density = choice('density', densities, 'medium')

/** Whether an alarm is to be heard; until a person chose, the console asks. */
export const sound = choice('sound', ['unset', 'on', 'off'] as const, 'unset')

export const volume = ref(Math.min(1, Math.max(0.1, Number(remembered('volume') ?? 0.6) || 0.6)))
watch(volume, (next) => remember('volume', String(next)))

export const showBoxes = choice('boxes', ['on', 'off'] as const, 'on')

/** Whether single letters do something in the queue; who dictates or uses such keys elsewhere turns them off. */
export const queueKeys = choice('keys', ['on', 'off'] as const, 'on')

/** Keeps `<html class="dark">` equal to the chosen theme. */
export function startTheme(): void {
  const system = matchMedia('(prefers-color-scheme: dark)')
  const apply = (): void => {
    const dark = theme.value === 'dark' || (theme.value === 'system' && system.matches)
    document.documentElement.classList.toggle('dark', dark)
  }
  system.addEventListener('change', apply)
  watch(theme, apply, { immediate: true })
}
