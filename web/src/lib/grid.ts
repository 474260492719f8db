/**
 * Columns for `count` tiles, each at least `least` wide, in `width` (pixels): as many as fit,
 * fewer where that leaves no ragged last row (four tiles are two by two, not three and one).
 */
export function columnsFor(count: number, width: number, least: number, gap: number): number {
  const most = Math.max(1, Math.floor((width + gap) / (least + gap)))
  if (count <= 0) return most
  return Math.ceil(count / Math.ceil(count / most))
}
