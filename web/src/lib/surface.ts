// The drawing that cameras are shown on: how large it is, and where on it a pointer is.
import { onUnmounted, watch, type Ref } from 'vue'

export interface Size {
  width: number
  height: number
}
/** How far out of sight a mark may lie and still be drawn, in px: its name is wider than itself. */
const MARGIN = 80

/** Tells the size of `element` whenever it changes; ends with the component. */
export function followSize(element: Readonly<Ref<Element | null>>, changed: (size: Size) => void): void {
  const observer = new ResizeObserver(([entry]) => {
    if (entry) changed({ width: entry.contentRect.width, height: entry.contentRect.height })
  })
  watch(element, (now) => {
    observer.disconnect()
    if (now) observer.observe(now)
  })
  onUnmounted(() => observer.disconnect())
}

/** Where on `element` a pointer is, in px from its upper left corner. */
export function pointOn(element: Element | null, event: { clientX: number; clientY: number }): { x: number; y: number } | undefined {
  const box = element?.getBoundingClientRect()
  return box && { x: event.clientX - box.left, y: event.clientY - box.top }
}

/** Whether a mark at `x`, `y` is to be drawn on a drawing of this size. */
export const inSight = ({ x, y }: { x: number; y: number }, size: Size): boolean =>
  x > -MARGIN && y > -MARGIN && x < size.width + MARGIN && y < size.height + MARGIN

/** Arrow keys as steps: right and down are positive. */
export const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
}
/** A camera is pushed by so many px, with Shift by `BIG` times as many; a drawing by `PAN`. */
export const NUDGE = 2
export const BIG = 10
export const PAN = 60
/** With more in sight than this, names would cover each other. */
export const NAMED = 40
