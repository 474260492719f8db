/** From what a search found to what is added. */
import type { Found } from '@/api/devices'

/** Ranges as people type them: one a line, or with commas between. */
export function rangesOf(text: string): string[] {
  return [...new Set(text.split(/[\s,;，；]+/).filter(Boolean))]
}

const RANGE = /^\d{1,3}(\.\d{1,3}){3}(\/\d{1,2})?$/

/** The first of `ranges` that is none; null when all are. */
export function wrongRange(ranges: readonly string[]): string | null {
  return (
    ranges.find((range) => {
      const [address = '', bits = '32'] = range.split('/')
      return !RANGE.test(range) || address.split('.').some((part) => Number(part) > 255) || Number(bits) > 32
    }) ?? null
  )
}

/** The host of what was found. */
export function hostOf(address: string): string {
  return /^(?:\w+:\/\/)?([^/:]+)/.exec(address)?.[1] ?? address
}

/** A name for what was found that no other camera has; its address stands in it where nothing else tells it apart. */
export function proposedName(found: Found, taken: ReadonlySet<string>): string {
  const model = [found.manufacturer, found.model].filter(Boolean).join(' ').trim()
  const said = found.name.trim()
  // Many devices announce nothing but their maker or their model.
  const plain = said && !model.includes(said) ? said : ''
  if (plain && !taken.has(plain)) return plain.slice(0, 120)
  const first = `${plain || model || 'IPC'} ${hostOf(found.address)}`.slice(0, 110)
  let name = first
  for (let n = 2; taken.has(name); n += 1) name = `${first} (${n})`
  return name
}

/** Names for all of `list`, each another one. */
export function proposedNames(list: readonly Found[], taken: Iterable<string>): Map<string, string> {
  const used = new Set(taken)
  const names = new Map<string, string>()
  for (const found of list) {
    const name = proposedName(found, used)
    used.add(name)
    names.set(found.address, name)
  }
  return names
}

/** Runs `work` over `items`, at most `together` at once, in their order. */
export async function inTurns<T>(items: readonly T[], together: number, work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items]
  async function next(): Promise<void> {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item)
  }
  await Promise.all(Array.from({ length: Math.min(together, items.length) }, next))
}
