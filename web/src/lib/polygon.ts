/** Zones are polygons in relative coordinates: 0..1, origin top left. */
import type { Point } from '@/api/types'

export const LEAST_POINTS = 3
export const MOST_POINTS = 64

export function clampPoint([x, y]: Point): Point {
  const clamp = (value: number): number => Math.round(Math.min(1, Math.max(0, value)) * 10_000) / 10_000
  return [clamp(x), clamp(y)]
}

function turn(a: Point, b: Point, c: Point): number {
  return Math.sign((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))
}

function on(a: Point, b: Point, p: Point): boolean {
  return (
    turn(a, b, p) === 0 &&
    p[0] >= Math.min(a[0], b[0]) &&
    p[0] <= Math.max(a[0], b[0]) &&
    p[1] >= Math.min(a[1], b[1]) &&
    p[1] <= Math.max(a[1], b[1])
  )
}

function cross(a: Point, b: Point, c: Point, d: Point): boolean {
  if (turn(a, b, c) !== turn(a, b, d) && turn(c, d, a) !== turn(c, d, b)) return true
  return on(a, b, c) || on(a, b, d) || on(c, d, a) || on(c, d, b)
}

export type PolygonFault = 'few' | 'many' | 'crossing' | 'flat'

/** Twice the signed area, by the shoelace formula. */
export function doubleArea(points: readonly Point[]): number {
  return points.reduce((sum, [x, y], i) => {
    const [nextX, nextY] = points[(i + 1) % points.length] as Point
    return sum + x * nextY - nextX * y
  }, 0)
}

/** What keeps `points` from being a zone; null when it is one. */
export function polygonFault(points: readonly Point[]): PolygonFault | null {
  const n = points.length
  if (n < LEAST_POINTS) return 'few'
  if (n > MOST_POINTS) return 'many'
  for (let i = 0; i < n; i += 1) {
    for (let j = i + 1; j < n; j += 1) {
      // Neighbouring sides share a point and may not be compared.
      if (j === i + 1 || (i === 0 && j === n - 1)) continue
      const [a, b] = [points[i] as Point, points[(i + 1) % n] as Point]
      const [c, d] = [points[j] as Point, points[(j + 1) % n] as Point]
      if (cross(a, b, c, d)) return 'crossing'
    }
  }
  return Math.abs(doubleArea(points)) < 2e-4 ? 'flat' : null
}

/** Index after which a point at `p` belongs: the end of the side nearest to it. */
export function nearestSide(points: readonly Point[], p: Point): number {
  let best = points.length
  let least = Infinity
  points.forEach((a, i) => {
    const b = points[(i + 1) % points.length] as Point
    const length = (b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2
    const share = length === 0 ? 0 : ((p[0] - a[0]) * (b[0] - a[0]) + (p[1] - a[1]) * (b[1] - a[1])) / length
    const t = Math.min(1, Math.max(0, share))
    const distance = (p[0] - a[0] - t * (b[0] - a[0])) ** 2 + (p[1] - a[1] - t * (b[1] - a[1])) ** 2
    if (distance < least) {
      least = distance
      best = i + 1
    }
  })
  return best
}
