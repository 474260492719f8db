import { computed, ref, type ComputedRef, type Ref } from 'vue'
import type { Stretch } from './timeline'

const AROUND_MS = 30_000
const LEAST_MS = 1000

/** The part of a recording that is to be kept or handed out; half a minute around the picture until it was marked. */
export function usePart(position: Readonly<Ref<number>>): {
  marked: ComputedRef<boolean>
  chosen: ComputedRef<Stretch>
  mark: (end: boolean) => void
} {
  const ends = ref<{ from: number | null; to: number | null }>({ from: null, to: null })
  const marked = computed(() => ends.value.from !== null || ends.value.to !== null)
  const chosen = computed<Stretch>(() => {
    const from = ends.value.from ?? Math.min(position.value, ends.value.to ?? Infinity) - AROUND_MS
    return { from, to: Math.max(ends.value.to ?? position.value + AROUND_MS, from + LEAST_MS) }
  })
  function mark(end: boolean): void {
    const here = Math.round(position.value)
    const { from, to } = ends.value
    ends.value = end ? { from, to: here } : { from: here, to: to !== null && to > here ? to : null }
  }
  return { marked, chosen, mark }
}
