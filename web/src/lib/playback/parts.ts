/** When the frames of recorded parts are shown (ISO/IEC 14496-12: moof, traf, tfhd, tfdt, trun). */

export interface Frames {
  /** Seconds of the media's own time, rising. */
  shown: number[]
  /** Those of them that need no other to be decoded. */
  keyframes: number[]
}

const TIMESCALE = 90_000
/** The track of the pictures; that of the sound has a clock of its own. */
const PICTURES = 1
const NOT_SYNC = 0x00010000
const HAS_OFFSET = 0x1
const HAS_FIRST_FLAGS = 0x4
const HAS_DURATION = 0x100
const HAS_SIZE = 0x200
const HAS_FLAGS = 0x400
const HAS_COMPOSITION = 0x800

function run(view: DataView, at: number, decoded: number, found: Frames): void {
  const flags = view.getUint32(at) & 0xffffff
  const count = view.getUint32(at + 4)
  let position = at + 8 + (flags & HAS_OFFSET ? 4 : 0) + (flags & HAS_FIRST_FLAGS ? 4 : 0)
  let time = decoded
  for (let sample = 0; sample < count; sample += 1) {
    const take = (): number => view.getUint32((position += 4) - 4)
    const duration = flags & HAS_DURATION ? take() : 0
    if (flags & HAS_SIZE) take()
    const sync = (flags & HAS_FLAGS ? take() & NOT_SYNC : 0) === 0
    const later = flags & HAS_COMPOSITION ? take() | 0 : 0
    const shown = (time + later) / TIMESCALE
    found.shown.push(shown)
    if (sync) found.keyframes.push(shown)
    time += duration
  }
}

function walk(view: DataView, from: number, to: number, found: Frames, traf: { decoded: number; track: number }): void {
  let at = from
  while (at + 8 <= to) {
    const size = view.getUint32(at)
    if (size < 8 || at + size > to) return
    const kind = view.getUint32(at + 4)
    if (kind === 0x6d6f6f66 || kind === 0x74726166) walk(view, at + 8, at + size, found, traf) // moof, traf
    if (kind === 0x74666864) traf.track = view.getUint32(at + 12) // tfhd
    if (kind === 0x74666474) traf.decoded = Number(view.getBigUint64(at + 12)) // tfdt, version 1
    if (kind === 0x7472756e && traf.track === PICTURES) run(view, at + 8, traf.decoded, found) // trun
    at += size
  }
}

/** The frames of the pictures in `bytes`, whole parts. */
export function framesOf(bytes: ArrayBuffer): Frames {
  const found: Frames = { shown: [], keyframes: [] }
  walk(new DataView(bytes), 0, bytes.byteLength, found, { decoded: 0, track: PICTURES })
  found.shown.sort((a, b) => a - b)
  return found
}
