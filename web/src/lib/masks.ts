/** Parts of a camera's picture that nobody sees. */
import type { Mask } from '@/api/types'
import { polygonFault, type PolygonFault } from './polygon'

/** A square in the middle, to be drawn into shape. */
export function newMask(name: string): Mask {
  return {
    name,
    polygon: [
      [0.4, 0.3],
      [0.6, 0.3],
      [0.6, 0.6],
      [0.4, 0.6],
    ],
  }
}

/** What keeps `mask` from being saved; null when nothing does. */
export function maskFault(mask: Mask): 'name' | PolygonFault | null {
  return mask.name.trim() === '' ? 'name' : polygonFault(mask.polygon)
}
