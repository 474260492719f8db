/** Reading the boxes of fragmented MP4 (ISO/IEC 14496-12), as far as playing live asks for it. */

const TIMESCALE = 90_000
const NOT_SYNC = 0x0001_0000
const VIDEO = 1
const INSIDE = new Set(['moof', 'traf'])

function* boxes(view: DataView, from: number, to: number): Generator<{ kind: string; at: number }> {
  for (let at = from; at + 8 <= to; ) {
    const size = view.getUint32(at)
    if (size < 8 || at + size > to) return
    const kind = String.fromCharCode(...[4, 5, 6, 7].map((i) => view.getUint8(at + i)))
    if (INSIDE.has(kind)) yield* boxes(view, at + 8, at + size)
    else yield { kind, at: at + 8 }
    at += size
  }
}

/** When the keyframes in `bytes` are shown, in seconds; of fragments of one frame as the hub writes them. */
export function keyframeTimes(bytes: ArrayBuffer): number[] {
  const view = new DataView(bytes)
  const found: number[] = []
  let decoded = 0
  let track = VIDEO
  for (const { kind, at } of boxes(view, 0, bytes.byteLength)) {
    if (kind === 'tfhd') track = view.getUint32(at + 4)
    if (track !== VIDEO) continue // sound
    if (kind === 'tfdt') decoded = Number(view.getBigUint64(at + 4))
    // One sample: flags, count, offset of the data, duration, size, flags of the sample, composition.
    if (kind === 'trun' && (view.getUint32(at + 20) & NOT_SYNC) === 0) {
      found.push((decoded + view.getInt32(at + 24)) / TIMESCALE)
    }
  }
  return found
}
