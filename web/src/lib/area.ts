/** Areas are paths of slugs, `county/township/community/cell`. */

import { shallowRef } from 'vue'

const names = shallowRef<ReadonlyMap<string, string>>(new Map())

/** Remembers what people call the areas; all that was remembered before is forgotten. */
export function learnAreas(areas: readonly { path: string; name: string }[]): void {
  names.value = new Map(areas.map(({ path, name }) => [path, name]))
}

/** The path as people read it: "Riverside › Jade Garden"; of areas without a known name the slug in words. */
export function areaText(area: string, last = 2): string {
  const parts = area.split('/').filter(Boolean)
  return parts
    .map((part, index) => {
      const words = part.replaceAll('-', ' ')
      return names.value.get(parts.slice(0, index + 1).join('/')) ?? words.charAt(0).toUpperCase() + words.slice(1)
    })
    .slice(-last)
    .join(' › ')
}

export const AREA_PATTERN = /^(?=.{1,200}$)[^/]*[^/\s][^/]*(\/[^/]*[^/\s][^/]*)*$/
