import { describe, expect, it } from 'vitest'
import type { Point } from '@/api/types'
import { clampPoint, doubleArea, nearestSide, polygonFault } from '@/lib/polygon'
import { newZone, zoneFault } from '@/lib/zones'

const square: Point[] = [
  [0, 0],
  [1, 0],
  [1, 1],
  [0, 1],
]

describe('polygonFault', () => {
  it('accepts a square, either way round', () => {
    expect(polygonFault(square)).toBeNull()
    expect(polygonFault(square.toReversed())).toBeNull()
    expect(Math.abs(doubleArea(square))).toBe(2)
  })

  it('accepts a concave outline', () => {
    expect(polygonFault([...square.slice(0, 3), [0.5, 0.5]])).toBeNull()
  })

  it.each<[string, Point[]]>([
    ['crossing', [[0, 0], [1, 1], [1, 0], [0, 1]]],
    ['few', [[0, 0], [1, 1]]],
    ['flat', [[0, 0], [1, 1], [0.5, 0.5]]],
    ['many', Array.from({ length: 65 }, (_, i): Point => [Math.cos(i / 10) / 2 + 0.5, Math.sin(i / 10) / 2 + 0.5])],
  ])('finds what is %s', (fault, points) => {
    expect(polygonFault(points)).toBe(fault)
  })

  it('finds a point that lies on a far side', () => {
    expect(polygonFault([[0, 0], [1, 0], [1, 1], [0.5, 0], [0, 1]])).toBe('crossing')
  })
})

describe('points', () => {
  it('stay inside the picture', () => {
    expect(clampPoint([-0.2, 1.4])).toEqual([0, 1])
  })

  it('are added on the side they are nearest to', () => {
    expect(nearestSide(square, [0.5, 0.05])).toBe(1)
    expect(nearestSide(square, [0.97, 0.5])).toBe(2)
    expect(nearestSide(square, [0.02, 0.5])).toBe(4)
  })
})

describe('zoneFault', () => {
  it('passes a new zone and names what is missing', () => {
    const zone = newZone('Yard')
    expect(zoneFault(zone)).toBeNull()
    expect(zoneFault({ ...zone, name: ' ' })).toBe('name')
    const rule = zone.rules[0]
    if (!rule) throw new Error('a new zone has a rule')
    expect(zoneFault({ ...zone, rules: [{ ...rule, objects: [] }] })).toBe('objects')
    expect(zoneFault({ ...zone, rules: [{ ...rule, schedule: [{ days: [], from: '22:00', to: '06:00' }] }] })).toBe('days')
    expect(zoneFault({ ...zone, rules: [{ ...rule, schedule: [{ days: ['mon'], from: '22:00', to: '22:00' }] }] })).toBe(
      'hours',
    )
  })
})
