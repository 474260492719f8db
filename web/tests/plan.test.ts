import { describe, expect, it } from 'vitest'
import { drawingFault, headingFrom, headingOn, inside, nameOf, onPlan, onScreen, panned, wholePlan, zoomed } from '@/lib/plan'

const drawing = { width: 4000, height: 2000 }
const window = { width: 800, height: 600 }
const whole = wholePlan(drawing, window)

describe('a drawing in a window', () => {
  it('is shown whole, with air', () => {
    const upper = onScreen(whole, drawing, window, { x: 0, y: 0 })
    const lower = onScreen(whole, drawing, window, { x: 1, y: 1 })
    expect(upper.x).toBeGreaterThan(0)
    expect(lower.x).toBeLessThan(800)
    expect(lower.x - upper.x).toBeCloseTo(2 * (lower.y - upper.y))
  })
  it('gives the spot under a point and the point of a spot', () => {
    const view = { middle: { x: 0.3, y: 0.7 }, zoom: 0.9 }
    const at = onScreen(view, drawing, window, { x: 0.25, y: 0.5 })
    const back = onPlan(view, drawing, window, at)
    expect(back.x).toBeCloseTo(0.25)
    expect(back.y).toBeCloseTo(0.5)
  })
  it('keeps what lies under the fingers where it is', () => {
    const at = { x: 500, y: 200 }
    const before = onPlan(whole, drawing, window, at)
    const after = onPlan(zoomed(whole, drawing, window, 2, at), drawing, window, at)
    expect(after.x).toBeCloseTo(before.x)
    expect(after.y).toBeCloseTo(before.y)
  })
  it('is never lost out of sight, however it is moved and sized', () => {
    const far = panned(whole, drawing, { x: 1e6, y: -1e6 })
    expect(far.middle).toEqual({ x: 1, y: 0 })
    let view = whole
    for (let i = 0; i < 50; i++) view = zoomed(view, drawing, window, 0.5, { x: 0, y: 0 })
    expect(view.zoom).toBeCloseTo(whole.zoom / 2)
    for (let i = 0; i < 50; i++) view = zoomed(view, drawing, window, 2, { x: 0, y: 0 })
    expect(view.zoom).toBe(8)
  })
  it('keeps cameras inside', () => {
    expect(inside({ x: -0.2, y: 1.7 })).toEqual({ x: 0, y: 1 })
    expect(inside({ x: 1 / 3, y: 0.5 })).toEqual({ x: 0.33333, y: 0.5 })
  })
})

describe('where a camera looks on a drawing', () => {
  it('turns with its north, there and back', () => {
    expect(headingOn(90, 0)).toBe(90)
    expect(headingOn(300, 90)).toBe(30)
    expect(headingFrom(headingOn(300, 90), 90)).toBe(300)
    expect(headingFrom(10, 90)).toBe(280)
  })
})

describe('a file that is to be a plan', () => {
  it('is refused before it is sent where it can be none', () => {
    expect(drawingFault({ name: 'Plan.PDF', type: '', size: 10 })).toBe('plan-format')
    expect(drawingFault({ name: 'x', type: 'image/svg+xml', size: 10 })).toBe('plan-format')
    expect(drawingFault({ name: 'a.png', type: 'image/png', size: 21 * 1024 * 1024 })).toBe('plan-too-large')
    expect(drawingFault({ name: 'a.png', type: 'image/png', size: 1 })).toBeNull()
  })
  it('proposes a name', () => {
    expect(nameOf('Block_A  ground.floor.png')).toBe('Block A ground.floor')
  })
})
