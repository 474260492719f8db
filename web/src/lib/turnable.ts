import type { Camera } from '@/api/types'

/** Whether it makes sense to ask a camera for its head: the person may turn this one, and it is switched on. */
export function turnable(camera: Camera): boolean {
  return camera.enabled && camera.actions.includes('camera.ptz')
}
