/** Deliveries put together: one line per person and channel, with the newest attempt of it. */
import type { Delivery } from '@/api/loop'

export interface Way {
  last: Delivery
  attempts: number
}

export interface Told {
  key: string
  kind: Delivery['recipient_kind']
  name: string
  ways: Way[]
  /** Whether a message went out, or still may; what was withheld on purpose or has no answer yet counts. */
  reached: boolean
}

const lost: ReadonlySet<Delivery['state']> = new Set(['failed', 'given_up'])

/** Everybody who was told, in the order they were; those whom nothing reached first. */
export function newestAttempts(deliveries: readonly Delivery[]): Told[] {
  const people = new Map<string, Map<string, Way>>()
  const heads = new Map<string, Delivery>()
  const inOrder = [...deliveries].sort((a, b) => Date.parse(a.created_at) - Date.parse(b.created_at) || a.attempt - b.attempt)
  for (const one of inOrder) {
    const key = `${one.recipient_kind} ${one.recipient_id}`
    heads.set(key, heads.get(key) ?? one)
    const ways = people.get(key) ?? new Map<string, Way>()
    people.set(key, ways)
    const way = `${one.round_key} ${one.purpose} ${one.channel}`
    const known = ways.get(way)
    ways.set(way, { last: one, attempts: (known?.attempts ?? 0) + 1 })
  }
  const told = [...people].map(([key, ways]) => {
    const head = heads.get(key) as Delivery
    const list = [...ways.values()]
    return {
      key,
      kind: head.recipient_kind,
      name: head.recipient_name,
      ways: list,
      reached: !list.every(({ last }) => lost.has(last.state)),
    }
  })
  return told.sort((a, b) => Number(a.reached) - Number(b.reached))
}
