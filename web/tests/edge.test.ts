import { describe, expect, it } from 'vitest'
import { backoff, Cushion, edgeStep, joined, SEEK_BEHIND, trimSpan } from '@/live/edge'

const target = 0.12

describe('edgeStep', () => {
  it('leaves the playhead alone when it is where it should be', () => {
    expect(edgeStep({ current: 9.88, spans: [{ start: 5, end: 10 }], target })).toEqual({ kind: 'rate', rate: 1 })
  })

  it('starts near the newest frame, not at the start of the cached group of pictures', () => {
    const step = edgeStep({ current: 0, spans: [{ start: 100, end: 102 }], target })
    expect(step).toEqual({ kind: 'seek', to: 102 - target })
  })

  it('hurries a little when slightly late and never faster than viewers stand', () => {
    const step = edgeStep({ current: 9.4, spans: [{ start: 5, end: 10 }], target })
    expect(step.kind).toBe('rate')
    if (step.kind === 'rate') {
      expect(step.rate).toBeGreaterThan(1)
      expect(step.rate).toBeLessThanOrEqual(1.12)
    }
  })

  it('jumps when hurrying would take too long', () => {
    const current = 10 - SEEK_BEHIND - 0.1
    expect(edgeStep({ current, spans: [{ start: 5, end: 10 }], target })).toEqual({ kind: 'seek', to: 10 - target })
  })

  it('jumps over a gap instead of waiting before it', () => {
    const spans = [
      { start: 5, end: 8 },
      { start: 9, end: 9.2 },
    ]
    expect(edgeStep({ current: 8, spans, target })).toEqual({ kind: 'seek', to: 9.2 - target })
  })

  it('never seeks before the first picture of a short span', () => {
    expect(edgeStep({ current: 0, spans: [{ start: 50, end: 50.04 }], target })).toEqual({ kind: 'seek', to: 50 })
  })

  it('follows a camera whose clock went backwards', () => {
    const step = edgeStep({ current: 500, spans: [{ start: 2, end: 3 }], target })
    expect(step).toEqual({ kind: 'seek', to: 3 - target })
  })

  it('slows down when the newest frame is almost on screen', () => {
    const step = edgeStep({ current: 9.98, spans: [{ start: 5, end: 10 }], target })
    expect(step.kind === 'rate' && step.rate < 1).toBe(true)
  })

  it('waits while nothing is buffered', () => {
    expect(edgeStep({ current: 3, spans: [], target })).toEqual({ kind: 'rate', rate: 1 })
  })
})

describe('Cushion', () => {
  it('grows with each stall up to a limit and shrinks while all is smooth', () => {
    const cushion = new Cushion()
    expect(cushion.target).toBe(Cushion.least)
    for (let i = 0; i < 50; i += 1) cushion.stalled()
    expect(cushion.target).toBe(Cushion.most)
    cushion.smooth(10_000)
    expect(cushion.target).toBe(Cushion.least)
  })
})

describe('trimSpan', () => {
  it('keeps the newest seconds and cuts only when it is worth it', () => {
    const every = Array.from({ length: 20 }, (_, second) => second)
    expect(trimSpan(9, [{ start: 0, end: 10 }], 4, 6, every)).toBeNull()
    const cut = trimSpan(11.5, [{ start: 0, end: 12 }], 4, 6, every)
    expect(cut?.start).toBe(0)
    expect(cut?.end).toBeCloseTo(7, 2)
    expect(cut?.end).toBeLessThan(7)
  })

  it('never cuts into the group of pictures on screen', () => {
    // Keyframes every ten seconds: browsers remove up to the next keyframe after the end.
    expect(trimSpan(19, [{ start: 0, end: 19.2 }], 4, 6, [0, 10])?.end).toBeCloseTo(10, 2)
    expect(trimSpan(13, [{ start: 0, end: 13.2 }], 4, 6, [0, 10])).toBeNull()
    // A camera that sends one keyframe and then none.
    expect(trimSpan(90, [{ start: 0, end: 90.2 }], 4, 6, [0])).toBeNull()
  })
})

describe('backoff', () => {
  it('doubles from half a second to a quarter of a minute and is spread', () => {
    expect(backoff(0, 1)).toBe(500)
    expect(backoff(0, 0)).toBe(250)
    expect(backoff(3, 1)).toBe(4000)
    expect(backoff(99, 1)).toBe(15_000)
  })
})

describe('joined', () => {
  it('puts pieces together in order', () => {
    const parts = [new Uint8Array([1, 2]).buffer, new Uint8Array([3]).buffer]
    expect([...new Uint8Array(joined(parts))]).toEqual([1, 2, 3])
  })
})
