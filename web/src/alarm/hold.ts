/** Pressing and holding one button, by finger, key or switch. */
import { onUnmounted, ref } from 'vue'

export const HOLD_MS = 2000

interface Hold {
  /** How far the hold has come, 0 to 1. */
  progress: number
}

/**
 * `pressed` is called when the finger or key goes up, `held` once it was down for two seconds.
 *
 * A finger that slips off has pressed all the same, and so has one that the system took away: what
 * follows is a countdown that can be cancelled, and a lost press cannot.
 */
export function useHold(pressed: () => void, held: () => void) {
  const hold = ref<Hold | null>(null)
  let began = 0
  /** A click follows the finger that went up; it is the same press. */
  let endedAt = -Infinity
  let timer: ReturnType<typeof setInterval> | undefined

  function stop(): void {
    clearInterval(timer)
    hold.value = null
    endedAt = performance.now()
  }

  function down(): void {
    if (hold.value) return
    began = performance.now()
    hold.value = { progress: 0 }
    timer = setInterval(() => {
      const progress = (performance.now() - began) / HOLD_MS
      if (progress < 1) hold.value = { progress }
      else {
        stop()
        held()
      }
    }, 50)
  }

  function up(): void {
    if (!hold.value) return
    stop()
    pressed()
  }

  onUnmounted(() => clearInterval(timer))

  const isKey = (event: KeyboardEvent): boolean => event.key === 'Enter' || event.key === ' '
  const on = {
    pointerdown: (event: PointerEvent) => {
      if (event.button === 0) down()
    },
    pointerup: up,
    pointercancel: up,
    keydown: (event: KeyboardEvent) => {
      if (!isKey(event)) return
      event.preventDefault()
      down()
    },
    keyup: (event: KeyboardEvent) => {
      if (isKey(event)) up()
    },
    // What comes without finger or key: a screen reader, a switch, a voice.
    click: () => {
      if (!hold.value && performance.now() - endedAt > 700) pressed()
    },
    blur: up,
    contextmenu: (event: Event) => event.preventDefault(),
  }
  return { hold, on }
}
