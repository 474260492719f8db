import { readonly, ref } from 'vue'

const TICK_MS = 1000
/** A Date header has whole seconds; less than this is no skew. */
const SKEW_MS = 2000

let skew = 0
const current = ref(Date.now())

/** The hub's time in milliseconds, ticking once a second. */
export const now = readonly(current)

export function hubNow(): number {
  return Date.now() + skew
}

/** Learns the browser's skew from the `Date` header of an answer. */
export function learnHubTime(date: string | null): void {
  const hub = date === null ? NaN : Date.parse(date)
  if (Number.isNaN(hub)) return
  const difference = hub - Date.now()
  skew = Math.abs(difference) < SKEW_MS ? 0 : difference
}

setInterval(() => {
  current.value = hubNow()
}, TICK_MS)
