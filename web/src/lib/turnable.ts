import type { Camera } from '@/api/types'
import { may } from '@/state/session'

/** Whether it makes sense to ask a camera for its head: the person may turn cameras, and this one has ONVIF and is seen. */
export function turnable(camera: Camera): boolean {
  return may('camera.ptz') && camera.source_kind === 'onvif' && camera.enabled && camera.actions.includes('camera.live')
}
