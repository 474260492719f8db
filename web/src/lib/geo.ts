/** Cameras on a plain plan: metres from a middle, north up. No map is loaded from anywhere. */

export interface Position {
  latitude: number
  longitude: number
}
/** Metres east and north. */
export interface Metres {
  x: number
  y: number
}
/** What is shown: a middle, and metres for each unit of the drawing. */
export interface View {
  middle: Position
  scale: number
}

/** Mean metres of a degree of latitude (IUGG mean radius 6371008.8 m). */
const DEGREE_M = (Math.PI / 180) * 6_371_008.8
const LEAST_SCALE = 0.02
const MOST_SCALE = 40_000

const narrowing = (latitude: number): number => Math.max(0.01, Math.cos((latitude * Math.PI) / 180))

/** Where `place` lies from `middle`: equirectangular, right to a millimetre a kilometre off. */
export function metresFrom(middle: Position, place: Position): Metres {
  let east = place.longitude - middle.longitude
  if (east > 180) east -= 360
  if (east < -180) east += 360
  return {
    x: east * DEGREE_M * narrowing(middle.latitude),
    y: (place.latitude - middle.latitude) * DEGREE_M,
  }
}

const rounded = (value: number): number => Math.round(value * 1e7) / 1e7

/** The position `by` metres from `middle`, to a centimetre. */
export function moved(middle: Position, by: Metres): Position {
  let longitude = middle.longitude + by.x / (DEGREE_M * narrowing(middle.latitude))
  if (longitude > 180) longitude -= 360
  if (longitude < -180) longitude += 360
  const latitude = Math.min(90, Math.max(-90, middle.latitude + by.y / DEGREE_M))
  return { latitude: rounded(latitude), longitude: rounded(longitude) }
}

export function clampScale(scale: number): number {
  return Math.min(MOST_SCALE, Math.max(LEAST_SCALE, scale))
}

/** A view of `width` by `height` units with every place in it, and air around them. */
export function viewOf(places: readonly Position[], width: number, height: number): View | null {
  const first = places[0]
  if (!first) return null
  const spots = places.map((place) => metresFrom(first, place))
  const [xs, ys] = [spots.map(({ x }) => x), spots.map(({ y }) => y)]
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)]
  const scale = Math.max(((right - left) * 1.3) / width, ((high - low) * 1.4) / height, 0.15)
  return { middle: moved(first, { x: (left + right) / 2, y: (low + high) / 2 }), scale: clampScale(scale) }
}

/** A round length (1, 2 or 5 times a power of ten) that is at most `most` metres, for the scale bar. */
export function roundLength(most: number): number {
  const power = 10 ** Math.floor(Math.log10(most))
  return [5, 2, 1].map((factor) => factor * power).find((length) => length <= most) ?? power
}

/** A wedge of `angle` degrees that looks to `heading` (clockwise from north), as an SVG path around 0,0. */
export function wedge(heading: number, radius: number, angle = 60): string {
  const at = (degrees: number): string => {
    const turn = (degrees * Math.PI) / 180
    return `${(Math.sin(turn) * radius).toFixed(2)} ${(-Math.cos(turn) * radius).toFixed(2)}`
  }
  return `M0 0L${at(heading - angle / 2)}A${radius} ${radius} 0 0 1 ${at(heading + angle / 2)}Z`
}

/** What is wrong with a typed position; null when nothing is. Empty texts are no position. */
export function positionFault(latitude: string, longitude: string, heading: string): 'half' | 'latitude' | 'longitude' | 'heading' | null {
  const [north, east, look] = [latitude.trim(), longitude.trim(), heading.trim()]
  if (Boolean(north) !== Boolean(east)) return 'half'
  const outside = (text: string, least: number, most: number): boolean => !(Number(text) >= least && Number(text) <= most)
  if (north && outside(north, -90, 90)) return 'latitude'
  if (east && outside(east, -180, 180)) return 'longitude'
  if (look && !(Number(look) >= 0 && Number(look) < 360)) return 'heading'
  return null
}

/** "31.2304, 121.4737" pasted into one field; null when it is no such pair. */
export function pair(text: string): Position | null {
  const parts = text.trim().split(/[,，\s]+/)
  if (parts.length !== 2) return null
  const [latitude, longitude] = parts.map(Number)
  if (latitude === undefined || longitude === undefined || Number.isNaN(latitude) || Number.isNaN(longitude)) return null
  return Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180 ? { latitude, longitude } : null
}
