import { onUnmounted } from 'vue'

export interface PlaybackKeys {
  toggle: () => void
  pause: () => void
  /** Plays, and faster with each further press. */
  faster: () => void
  jump: (milliseconds: number) => void
  frame: (step: 1 | -1) => void
  edge: (end: boolean) => void
  nearer: (factor: number) => void
  mark: (end: boolean) => void
  sound: () => void
  help: () => void
}

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName))
}

/** What a key does; null for none. `button`: a button or a link has the focus, which keeps Space for itself. */
export function keyStep(event: Pick<KeyboardEvent, 'key' | 'shiftKey'>, button: boolean, keys: PlaybackKeys): (() => void) | null {
  const second = event.shiftKey ? 60_000 : 5000
  const steps: Record<string, () => void> = {
    j: () => keys.jump(-10_000),
    k: keys.pause,
    l: keys.faster,
    ',': () => keys.frame(-1),
    '.': () => keys.frame(1),
    arrowleft: () => keys.jump(-second),
    arrowright: () => keys.jump(second),
    home: () => keys.edge(false),
    end: () => keys.edge(true),
    '+': () => keys.nearer(0.5),
    '=': () => keys.nearer(0.5),
    '-': () => keys.nearer(2),
    i: () => keys.mark(false),
    o: () => keys.mark(true),
    m: keys.sound,
    '?': keys.help,
  }
  if (event.key === ' ') return button ? null : keys.toggle
  return steps[event.key.toLowerCase()] ?? null
}

/** The keys of the playback page, while `active` and no dialog is open. */
export function usePlaybackKeys(keys: PlaybackKeys, active: () => boolean): void {
  function press(event: KeyboardEvent): void {
    if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented || !active()) return
    if (typing(event.target) || document.querySelector('[role="dialog"][aria-modal="true"]')) return
    const button = event.target instanceof Element && event.target.closest('button, a') !== null
    const step = keyStep(event, button, keys)
    if (!step) return
    event.preventDefault()
    step()
  }
  addEventListener('keydown', press)
  onUnmounted(() => removeEventListener('keydown', press))
}
