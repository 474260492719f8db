/** A remote control's arrows and Back key. */

const ARROWS: Record<string, readonly [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
}
/** Names in older browsers, and numbers of sets that name no key. */
const OLD: Record<string, string> = { Left: 'ArrowLeft', Right: 'ArrowRight', Up: 'ArrowUp', Down: 'ArrowDown' }
const BY_NUMBER: Record<number, string> = { 37: 'ArrowLeft', 38: 'ArrowUp', 39: 'ArrowRight', 40: 'ArrowDown' }
const BACK = new Set(['Escape', 'Backspace', 'GoBack', 'BrowserBack', 'XF86Back'])
const BACK_NUMBERS = new Set([461, 10009]) // webOS, Tizen

export interface Box {
  left: number
  top: number
  right: number
  bottom: number
}

const OVERLAP = 2 // pixels: neighbours may touch

/**
 * How far `to` lies from `from` in the direction; Infinity where it lies elsewhere. Sideways counts double.
 * It lies there only if it begins behind the edge, and is as far as its own edge: of two wide buttons, one below the other,
 * neither lies to the left, and a wide one beside is near.
 */
export function distance(from: Box, to: Box, [x, y]: readonly [number, number]): number {
  const beyond =
    x !== 0 ? (x > 0 ? to.left - from.right : from.left - to.right) : y > 0 ? to.top - from.bottom : from.top - to.bottom
  if (beyond < -OVERLAP) return Infinity
  const gap =
    x !== 0 ? Math.max(0, from.top - to.bottom, to.top - from.bottom) : Math.max(0, from.left - to.right, to.left - from.right)
  const aside = x !== 0 ? Math.abs(from.top + from.bottom - to.top - to.bottom) / 2 : Math.abs(from.left + from.right - to.left - to.right) / 2
  return Math.max(0, beyond) + 2 * gap + aside / 2
}

function places(): HTMLElement[] {
  return [...document.querySelectorAll<HTMLElement>('[data-go]')].filter((place) => place.offsetParent !== null)
}

/** Where the keyboard rests when nothing has it. */
export function rest(): void {
  if (document.activeElement === document.body || document.activeElement === null) places()[0]?.focus()
}

export function isBack(event: KeyboardEvent): boolean {
  return BACK.has(event.key) || BACK_NUMBERS.has(event.keyCode)
}

/** Moves the focus by an arrow key; false for any other key. */
export function move(event: KeyboardEvent): boolean {
  const direction = ARROWS[OLD[event.key] ?? event.key] ?? ARROWS[BY_NUMBER[event.keyCode] ?? '']
  if (!direction) return false
  const all = places()
  const here = document.activeElement as HTMLElement | null
  if (!here || !all.includes(here)) {
    all[0]?.focus()
    return true
  }
  const from = here.getBoundingClientRect()
  let best: HTMLElement | null = null
  let least = Infinity
  for (const place of all) {
    const far = place === here ? Infinity : distance(from, place.getBoundingClientRect(), direction)
    if (far < least) [best, least] = [place, far]
  }
  best?.focus()
  return true
}
