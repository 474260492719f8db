import { onUnmounted, ref, shallowRef, type Ref } from 'vue'
import { recordings } from '@/api/playback'
import { asProblem, type Problem } from '@/api/problem'
import { hubNow } from '@/state/clock'
import { pastOf, type CameraPast } from './past'
import { dayBounds, knownZone } from './zone'

/** The newest recording appears a while after it was made. */
const AGAIN_MS = 20_000

/** What is recorded of some cameras on a day of the site's zone; read again while the day is going on. */
export function useDay(
  cameras: Ref<readonly { id: string; name: string }[]>,
  day: Ref<string>,
  zone: Ref<string>,
): { pasts: Readonly<Ref<CameraPast[]>>; problem: Readonly<Ref<Problem | null>>; load: () => Promise<void> } {
  const pasts = shallowRef<CameraPast[]>([])
  const problem = ref<Problem | null>(null)
  let newest = 0

  async function load(): Promise<void> {
    const mine = ++newest
    const { from, to } = dayBounds(day.value, zone.value)
    try {
      const end = Math.min(to, hubNow())
      const told = end <= from ? [] : await Promise.all(cameras.value.map(({ id }) => recordings.of(id, from, end)))
      if (mine !== newest) return
      pasts.value = told.map((one, n) => pastOf(cameras.value[n]?.id ?? '', cameras.value[n]?.name ?? '', one))
      problem.value = null
      const first = told[0]
      if (first) zone.value = knownZone(first.time_zone)
    } catch (error) {
      if (mine === newest) problem.value = asProblem(error)
    }
  }

  const timer = setInterval(() => {
    if (!document.hidden && cameras.value.length > 0 && dayBounds(day.value, zone.value).to > hubNow()) void load()
  }, AGAIN_MS)
  onUnmounted(() => clearInterval(timer))
  return { pasts, problem, load }
}
