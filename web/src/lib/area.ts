/** Areas are paths of slugs, `county/township/community/cell`. */

/** The path as people read it: "Riverside › Jade garden". */
export function areaText(area: string, last = 2): string {
  return area
    .split('/')
    .filter(Boolean)
    .slice(-last)
    .map((part) => {
      const words = part.replaceAll('-', ' ')
      return words.charAt(0).toUpperCase() + words.slice(1)
    })
    .join(' › ')
}

export const AREA_PATTERN = /^(?=.{1,200}$)[^/]*[^/\s][^/]*(\/[^/]*[^/\s][^/]*)*$/
