import { describe, expect, it } from 'vitest'
import { keyframeTimes } from '@/live/boxes'

function box(kind: string, ...content: number[][]): number[] {
  const body = content.flat()
  return [...word(body.length + 8), ...[...kind].map((c) => c.charCodeAt(0)), ...body]
}

function word(value: number): number[] {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255)
}

/** One frame, laid out as `camera_hub/live/muxer.py` does. */
function fragment(time: number, keyframe: boolean, composition = 0): number[] {
  const flags = keyframe ? 0x02000000 : 0x01010000
  return [
    ...box(
      'moof',
      box('mfhd', word(0), word(1)),
      box(
        'traf',
        box('tfhd', word(0x020000), word(1)),
        box('tfdt', word(0x01000000), word(0), word(time)),
        box('trun', word(0x01000f01), word(1), word(112), word(3600), word(4), word(flags), word(composition)),
      ),
    ),
    ...box('mdat', word(0)),
  ]
}

describe('keyframeTimes', () => {
  it('finds the keyframes of a message of several frames, at the time they are shown', () => {
    const bytes = new Uint8Array([
      ...fragment(0, true),
      ...fragment(3600, false),
      ...fragment(900_000, true, 7200),
      ...fragment(903_600, false, -3600),
    ])
    expect(keyframeTimes(bytes.buffer)).toEqual([0, 10.08])
  })

  it('finds nothing in what is no fragment', () => {
    expect(keyframeTimes(new Uint8Array(5).buffer)).toEqual([])
    expect(keyframeTimes(new Uint8Array(40).fill(255).buffer)).toEqual([])
  })
})

describe('a fragment of sound', () => {
  it('has no keyframes', () => {
    const sound = new Uint8Array(200)
    const view = new DataView(sound.buffer)
    const box = (at: number, size: number, kind: string): void => {
      view.setUint32(at, size)
      for (let i = 0; i < 4; i++) view.setUint8(at + 4 + i, kind.charCodeAt(i))
    }
    box(0, 100, 'moof')
    box(8, 92, 'traf')
    box(16, 16, 'tfhd')
    view.setUint32(28, 2)
    box(32, 20, 'tfdt')
    box(52, 48, 'trun')
    box(100, 100, 'mdat')
    expect(keyframeTimes(sound.buffer)).toEqual([])
    view.setUint32(28, 1)
    expect(keyframeTimes(sound.buffer)).toHaveLength(1)
  })
})
