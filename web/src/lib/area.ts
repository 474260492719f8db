/** Areas are paths of slugs, `county/township/community/cell`. */

import { shallowRef } from 'vue'

const names = shallowRef<ReadonlyMap<string, string>>(new Map())

/** Remembers what people call the areas; all that was remembered before is forgotten. */
export function learnAreas(areas: readonly { path: string; name: string }[]): void {
  names.value = new Map(areas.map(({ path, name }) => [path, name]))
}

/** The path as people read it: "Riverside › Jade Garden"; of areas without a known name the slug in words.
 * `own` are the names that came with what is shown, for whoever may not read the tree. */
export function areaText(area: string, last = 2, own: Readonly<Record<string, string>> = {}): string {
  const parts = area.split('/').filter(Boolean)
  return parts
    .map((part, index) => {
      const words = part.replaceAll('-', ' ')
      const path = parts.slice(0, index + 1).join('/')
      return names.value.get(path) ?? own[path] ?? words.charAt(0).toUpperCase() + words.slice(1)
    })
    .slice(-last)
    .join(' › ')
}

export const AREA_PATTERN = /^(?=.{1,200}$)[^/]*[^/\s][^/]*(\/[^/]*[^/\s][^/]*)*$/
