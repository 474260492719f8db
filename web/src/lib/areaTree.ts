/** Areas are told as a flat list of paths; people see them as a tree. */
import type { Area, AreaLevel } from '@/api/setup'

export const areaLevels = ['county', 'township', 'community', 'cell'] as const satisfies AreaLevel[]

export interface AreaNode {
  area: Area
  children: AreaNode[]
}

/** The path of the area above `path`; '' above the topmost. */
export function above(path: string): string {
  const end = path.lastIndexOf('/')
  return end === -1 ? '' : path.slice(0, end)
}

/** The tree of `areas`, by name on each level. An area whose parent is missing stands at the top. */
export function treeOf(areas: readonly Area[], locale: string): AreaNode[] {
  const nodes = new Map(areas.map((area): [string, AreaNode] => [area.path, { area, children: [] }]))
  const roots: AreaNode[] = []
  for (const node of nodes.values()) (nodes.get(above(node.area.path))?.children ?? roots).push(node)
  const order = new Intl.Collator(locale, { numeric: true })
  const sort = (list: AreaNode[]): void => {
    list.sort((a, b) => order.compare(a.area.name, b.area.name))
    for (const { children } of list) sort(children)
  }
  sort(roots)
  return roots
}

/** The nodes that are on screen, top to bottom, while only those in `open` show what is below them. */
export function shown(nodes: readonly AreaNode[], open: ReadonlySet<string>): AreaNode[] {
  return nodes.flatMap((node) => [node, ...(open.has(node.area.path) ? shown(node.children, open) : [])])
}

/**
 * The names from the top down to `path`: "Riverside › Jade garden". Areas above the own ones are
 * not known and left out; of a path outside of the tree its parts stand there.
 */
export function nameOf(path: string, areas: readonly Area[], last = 2): string {
  const parts = path.split('/').filter(Boolean)
  const names = parts.map((_part, index) => {
    const own = parts.slice(0, index + 1).join('/')
    return areas.find((area) => area.path === own)?.name
  })
  const known = names.filter((name) => name !== undefined)
  return (known.length > 0 && names.at(-1) !== undefined ? known : parts).slice(-last).join(' › ')
}

/** The level below `level`; the lowest is below itself. */
export function levelBelow(level: AreaLevel | null): AreaLevel {
  const index = level === null ? -1 : areaLevels.indexOf(level)
  return areaLevels[Math.min(index + 1, areaLevels.length - 1)] as AreaLevel
}
