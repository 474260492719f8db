/** What to fetch next of a camera's recorded files. Times in milliseconds since 1970. */

/** A recorded file. */
export interface Piece {
  id: string
  from: number
  to: number
}

/** What of a file is in the buffer; `next` is where to go on, exactly as the hub said it. */
export interface Chunk {
  piece: string
  from: number
  to: number
  next: string
  /** Nothing of the file comes after this. */
  last: boolean
}

export interface Wanted {
  piece: string
  /** ISO 8601. */
  from: string
  to: string
  /** False: what is before is in the buffer. */
  keyframe: boolean
}

/** Files closer together than this are one recording. */
export const TOUCH = 1500
/** Fetched first, so that the first picture comes soon. */
const FIRST = 2000
const MOST = 60_000

const iso = (at: number): string => new Date(at).toISOString()

/** The files in order of time, each once. */
export function ordered<T extends Piece>(pieces: Iterable<T>): T[] {
  const byId = new Map([...pieces].map((piece) => [piece.id, piece]))
  return [...byId.values()].sort((a, b) => a.from - b.from)
}

export function pieceAt<T extends Piece>(pieces: readonly T[], at: number): T | undefined {
  return pieces.findLast((piece) => piece.from <= at && piece.to > at)
}

/** The first file that begins after `at`. */
export function pieceAfter<T extends Piece>(pieces: readonly T[], at: number): T | undefined {
  return pieces.find((piece) => piece.from > at)
}

/** The next request for somebody at `at` who wants `ahead` milliseconds in the buffer; null when there is enough. */
export function nextFetch(
  pieces: readonly Piece[],
  chunks: readonly Chunk[],
  at: number,
  ahead: number,
  end: number,
): Wanted | null {
  const before = chunks.at(-1)
  if (!before) {
    const piece = pieceAt(pieces, at)
    if (!piece) return null
    return { piece: piece.id, from: iso(at), to: iso(Math.min(at + FIRST, end)), keyframe: true }
  }
  if (before.to - at >= ahead) return null
  const length = Math.min(MOST, Math.max(ahead, 10_000))
  if (!before.last) {
    const to = Math.min(before.to + length, end)
    return to > before.to ? { piece: before.piece, from: before.next, to: iso(to), keyframe: false } : null
  }
  const piece = pieces.find((one) => one.id !== before.piece && one.to > before.to && one.from >= before.from)
  // Over a gap nothing is fetched before it is reached.
  if (!piece || piece.from - before.to > TOUCH) return null
  const from = Math.max(piece.from, before.to - TOUCH)
  const to = Math.min(from + length, end)
  return to > from ? { piece: piece.id, from: iso(from), to: iso(to), keyframe: true } : null
}

/** Whether somebody who goes to `at` finds it in the buffer, or right behind it. */
export function reaches(chunks: readonly Chunk[], at: number): boolean {
  const first = chunks[0]
  const last = chunks.at(-1)
  return first !== undefined && last !== undefined && at >= first.from && at <= last.to + TOUCH
}

/** The frame before (-1) or after (1) the one that is shown at `now`; seconds, `shown` rising. */
export function frameBeside(shown: readonly number[], now: number, step: 1 | -1): number | null {
  const here = shown.findLastIndex((time) => time <= now + 0.0015)
  return shown[here + step] ?? null
}
