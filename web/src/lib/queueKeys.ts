import { onUnmounted } from 'vue'
import { queueKeys } from '@/state/preferences'

/** A list that has just rearranged itself under a finger is not to be acted on. */
const SETTLE_MS = 600

export interface QueueKeys {
  move: (by: 1 | -1) => void
  acknowledge: () => void
  help: () => void
  /** When the line that keys act on last changed by itself, in milliseconds of `performance.now`. */
  changedAt: () => number
}

function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false
  return target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName)
}

/** Keys of the queue while its page is shown: J and K or the arrows move, A acknowledges, ? explains. */
export function useQueueKeys(keys: QueueKeys, list: () => HTMLElement | null): void {
  function press(event: KeyboardEvent): void {
    if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented || event.repeat) return
    if (queueKeys.value === 'off' || typing(event.target) || document.querySelector('[role="dialog"][aria-modal="true"]')) return
    const inList = event.target instanceof Node && (list()?.contains(event.target) ?? false)
    // Arrows scroll the page elsewhere.
    const arrow = inList ? { ArrowDown: 1, ArrowUp: -1 }[event.key] : undefined
    const way = arrow ?? { j: 1, k: -1 }[event.key.toLowerCase()]
    if (way === 1 || way === -1) keys.move(way)
    else if (event.key.toLowerCase() === 'a') {
      if (performance.now() - keys.changedAt() > SETTLE_MS) keys.acknowledge()
    } else if (event.key === '?') keys.help()
    else return
    event.preventDefault()
  }
  addEventListener('keydown', press)
  onUnmounted(() => removeEventListener('keydown', press))
}
