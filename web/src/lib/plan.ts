/** A drawing under the eyes: what is shown of it, and where cameras stand on it. */

/** Fractions of the drawing's width and height, from its upper left. */
export interface Spot {
  x: number
  y: number
}
export interface Size {
  width: number
  height: number
}
/** The point of the drawing (fractions) in the middle of the window, and screen pixels for each of its pixels. */
export interface PlanView {
  middle: Spot
  zoom: number
}

const MOST_ZOOM = 8
const rounded = (value: number): number => Math.round(value * 1e5) / 1e5
const clamp = (value: number, least: number, most: number): number => Math.min(most, Math.max(least, value))

/** The whole drawing, with a little air. */
export function wholePlan(drawing: Size, window: Size): PlanView {
  const zoom = Math.min(window.width / drawing.width, window.height / drawing.height) * 0.96
  return { middle: { x: 0.5, y: 0.5 }, zoom: Number.isFinite(zoom) && zoom > 0 ? zoom : 1 }
}

/** Inside of the drawing, to a hundred-thousandth: less than a pixel. */
export function inside({ x, y }: Spot): Spot {
  return { x: rounded(clamp(x, 0, 1)), y: rounded(clamp(y, 0, 1)) }
}

export function onScreen(view: PlanView, drawing: Size, window: Size, spot: Spot): Spot {
  return {
    x: window.width / 2 + (spot.x - view.middle.x) * drawing.width * view.zoom,
    y: window.height / 2 + (spot.y - view.middle.y) * drawing.height * view.zoom,
  }
}

/** Where a point of the window lies on the drawing; outside of it below 0 or above 1. */
export function onPlan(view: PlanView, drawing: Size, window: Size, at: Spot): Spot {
  return {
    x: view.middle.x + (at.x - window.width / 2) / (drawing.width * view.zoom),
    y: view.middle.y + (at.y - window.height / 2) / (drawing.height * view.zoom),
  }
}

export function panned(view: PlanView, drawing: Size, by: Spot): PlanView {
  const x = view.middle.x + by.x / (drawing.width * view.zoom)
  const y = view.middle.y + by.y / (drawing.height * view.zoom)
  // The drawing is never lost out of sight.
  return { ...view, middle: { x: clamp(x, 0, 1), y: clamp(y, 0, 1) } }
}

/** Closer or farther; what lies at `at` of the window stays there. */
export function zoomed(view: PlanView, drawing: Size, window: Size, factor: number, at: Spot): PlanView {
  const least = wholePlan(drawing, window).zoom / 2
  const zoom = clamp(view.zoom * factor, least, Math.max(MOST_ZOOM, least))
  const held = onPlan(view, drawing, window, at)
  const next = { ...view, zoom }
  const now = onPlan(next, drawing, window, at)
  const middle = { x: clamp(next.middle.x + held.x - now.x, 0, 1), y: clamp(next.middle.y + held.y - now.y, 0, 1) }
  return { middle, zoom }
}

/** Where a camera that looks to `heading` (from north) looks on a drawing whose north is at `north` (from its upper side). */
export function headingOn(heading: number, north: number): number {
  return (((heading + north) % 360) + 360) % 360
}

/** The same the other way: typed or turned on the drawing, kept from north. */
export function headingFrom(shown: number, north: number): number {
  return (((shown - north) % 360) + 360) % 360
}

/** A file that can be no plan, before it is sent; the hub looks closer. */
export function drawingFault(file: { name: string; type: string; size: number }): 'plan-too-large' | 'plan-format' | null {
  if (/\.(pdf|svgz?|dwg|dxf|vsdx?)$/i.test(file.name) || /pdf|svg/.test(file.type)) return 'plan-format'
  return file.size > 20 * 1024 * 1024 ? 'plan-too-large' : null
}

/** A name for a plan out of its file's. */
export function nameOf(file: string): string {
  return file.replace(/\.[^.]+$/, '').replaceAll(/[_\s]+/g, ' ').trim().slice(0, 120)
}
