import type { CameraStorage } from '@/api/playback'

export const useColumns = ['name', 'bytes', 'per_day', 'retention_h', 'oldest_at', 'locked_bytes'] as const
export type UseColumn = (typeof useColumns)[number]

/** Cameras by one column; what is unknown or without an end comes last when rising. */
export function sortedUse(cameras: readonly CameraStorage[], by: UseColumn, down: boolean): CameraStorage[] {
  const value = (camera: CameraStorage): number => {
    if (by === 'oldest_at') return camera.oldest_at ? Date.parse(camera.oldest_at) : Infinity
    if (by === 'name') return 0
    return camera[by] ?? Infinity
  }
  const names = (a: CameraStorage, b: CameraStorage): number => a.name.localeCompare(b.name, undefined, { numeric: true })
  const way = down ? -1 : 1
  return [...cameras].sort((a, b) => {
    const [x, y] = [value(a), value(b)]
    if (by === 'name' || x === y) return by === 'name' ? names(a, b) * way : names(a, b)
    return (x < y ? -1 : 1) * way
  })
}
