import { readonly, ref } from 'vue'
import { health } from '@/api/calls'

const RETRY_MS = 3000
const away = ref(false)
let timer: ReturnType<typeof setTimeout> | undefined
const waiting = new Set<() => void>()

/** True while the hub does not answer. */
export const hubAway = readonly(away)

/** Calls `listener` each time the hub is back. */
export function onHubBack(listener: () => void): () => void {
  waiting.add(listener)
  return () => waiting.delete(listener)
}

function ask(): void {
  timer = setTimeout(() => {
    health().catch(() => undefined)
  }, RETRY_MS)
}

/** Told of every answer, and of every call that got none. */
export function heard(reached: boolean): void {
  clearTimeout(timer)
  timer = undefined
  if (!reached) {
    away.value = true
    ask()
  } else if (away.value) {
    away.value = false
    for (const listener of waiting) listener()
  }
}
