import { computed, readonly, shallowReactive, ref } from 'vue'
import { incidents as api } from '@/api/calls'
import type { Incident } from '@/api/types'
import { byUrgency, isOpen, isWaiting, newer } from '@/lib/incidents'

const PAGE = 100
/** So many of the open incidents, the most urgent first, are held and heard; others are paged by the queue. */
const MOST = 300

/** Every incident this page has heard of, by id. */
const known = shallowReactive(new Map<string, Incident>())
const ready = ref(false)
const more = ref(false)

export const incidentsReady = readonly(ready)
/** Whether there are more open incidents than this page holds. */
export const moreOpen = readonly(more)
export const openIncidents = computed(() => [...known.values()].filter(isOpen).sort(byUrgency))
export const waitingCount = computed(() => openIncidents.value.filter(isWaiting).length)
export const overdueCount = computed(() => openIncidents.value.filter(({ overdue }) => overdue).length)

/** Open incidents by the camera they are on, most urgent first. */
export const openByCamera = computed(() => {
  const map = new Map<string, Incident[]>()
  for (const incident of openIncidents.value) {
    if (incident.camera_id === null) continue
    const list = map.get(incident.camera_id)
    if (list) list.push(incident)
    else map.set(incident.camera_id, [incident])
  }
  return map
})

export function incidentById(id: string): Incident | undefined {
  return known.get(id)
}

/** Takes an incident from an answer or an event; gives what is now known. */
export function takeIncident(arrived: Incident): Incident {
  const kept = newer(known.get(arrived.id), arrived)
  known.set(kept.id, kept)
  return kept
}

/**
 * Reads all open incidents. Gives true when the list held something the event
 * stream should have told before, which means that the stream is not to be trusted.
 */
export async function loadOpen(): Promise<boolean> {
  const before = new Map(known)
  const seen = new Set<string>()
  let surprise = false
  let cursor: string | null = null
  do {
    const page: Awaited<ReturnType<typeof api.list>> = await api.list({ state: 'open', cursor, limit: PAGE })
    for (const incident of page.items) {
      seen.add(incident.id)
      const had = known.get(incident.id)
      if (!had || had.version < incident.version) surprise = true
      takeIncident(incident)
    }
    cursor = page.next_cursor ?? null
  } while (cursor !== null && seen.size < MOST)
  for (const [id, incident] of before) {
    // Unchanged since the question was asked, and no longer open: closed unheard.
    if (isOpen(incident) && !seen.has(id) && known.get(id) === incident && seen.size < MOST) {
      known.delete(id)
      surprise = true
    }
  }
  more.value = cursor !== null
  // What somebody pressed is never beyond the end of a list, however many cameras call.
  if (more.value) (await api.list({ state: 'open', kind: 'alarms', limit: PAGE })).items.forEach(takeIncident)
  ready.value = true
  return surprise
}

export function forgetIncidents(): void {
  known.clear()
  ready.value = false
  more.value = false
}
