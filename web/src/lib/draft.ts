import { ref, watch, type Ref } from 'vue'
import { onSignedOut, sessionEnded } from '@/state/session'

const PREFIX = 'camera-hub.draft.'

/** What a person types, kept by this browser until it has been sent: a lost connection loses no words. */
export function useDraft(name: string): { text: Ref<string>; clear: () => void } {
  const key = `${PREFIX}${name}`
  const text = ref(read(key))
  watch(text, (words) => write(key, words))
  return {
    text,
    clear: () => {
      text.value = ''
      write(key, '')
    },
  }
}

function forgetDrafts(): void {
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX)) localStorage.removeItem(key)
  } catch {
    return
  }
}
// Whoever signs out on purpose leaves nothing on a shared phone; a session that ended by itself takes no words away.
onSignedOut(() => {
  if (!sessionEnded.value) forgetDrafts()
})

function read(key: string): string {
  try {
    return localStorage.getItem(key) ?? ''
  } catch {
    return ''
  }
}

function write(key: string, words: string): void {
  try {
    if (words) localStorage.setItem(key, words)
    else localStorage.removeItem(key)
  } catch {
    return
  }
}
