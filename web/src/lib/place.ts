/** A `geo:` address (RFC 5870), which phones open in their map; null without a location. */
export function mapAddress(location: { latitude: number; longitude: number } | null | undefined, label: string): string | null {
  if (!location) return null
  const { latitude, longitude } = location
  const at = `${latitude.toFixed(6)},${longitude.toFixed(6)}`
  return `geo:${at}?q=${at}(${encodeURIComponent(label)})`
}
