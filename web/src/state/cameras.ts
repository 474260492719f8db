import { computed, readonly, ref, shallowReactive } from 'vue'
import { cameras as api } from '@/api/calls'
import { asProblem, type Problem } from '@/api/problem'
import type { Camera, CameraStatus } from '@/api/types'

const known = shallowReactive(new Map<string, Camera>())
const ready = ref(false)
const failed = ref<Problem | null>(null)

export const camerasReady = readonly(ready)
export const camerasProblem = readonly(failed)
export const cameraList = computed(() =>
  [...known.values()].sort((a, b) => a.area.localeCompare(b.area) || a.name.localeCompare(b.name, undefined, { numeric: true })),
)

export function cameraById(id: string): Camera | undefined {
  return known.get(id)
}

export function takeCamera(camera: Camera): void {
  known.set(camera.id, camera)
}

export function takeStatus(id: string, status: CameraStatus): void {
  const camera = known.get(id)
  if (camera) known.set(id, { ...camera, status })
}

export function dropCamera(id: string): void {
  known.delete(id)
}

export async function loadCameras(): Promise<void> {
  try {
    const seen = new Set<string>()
    let cursor: string | undefined
    do {
      const page: Awaited<ReturnType<typeof api.list>> = await api.list(cursor)
      for (const camera of page.items) {
        seen.add(camera.id)
        known.set(camera.id, camera)
      }
      cursor = page.next_cursor ?? undefined
    } while (cursor !== undefined)
    for (const id of known.keys()) if (!seen.has(id)) known.delete(id)
    failed.value = null
    ready.value = true
  } catch (error) {
    failed.value = asProblem(error)
  }
}

/** Reads one camera again, or forgets it when it is gone. */
export async function refreshCamera(id: string): Promise<void> {
  try {
    known.set(id, await api.get(id))
  } catch (error) {
    if (asProblem(error).status === 404) known.delete(id)
  }
}

export function forgetCameras(): void {
  known.clear()
  ready.value = false
}
