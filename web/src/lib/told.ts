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
  /**
   * Whether a message went out or still may. `console`: nothing leads to this account, which sees its
   * console only; `no`: every way failed, or there is none.
   */
  reached: 'yes' | 'console' | 'no'
}

const nowhere: ReadonlySet<string> = new Set(['no-address', 'no-gateway'])

function reached(kind: Delivery['recipient_kind'], ways: readonly Way[]): Told['reached'] {
  const lost = ({ last: { state, code } }: Way): boolean =>
    state === 'failed' || state === 'given_up' || (state === 'withheld' && nowhere.has(code))
  if (!ways.every(lost)) return 'yes'
  return kind === 'account' && ways.every(({ last }) => last.state === 'withheld') ? 'console' : 'no'
}

const ORDER: Told['reached'][] = ['no', 'console', 'yes']

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
      reached: reached(head.recipient_kind, list),
    }
  })
  return told.sort((a, b) => ORDER.indexOf(a.reached) - ORDER.indexOf(b.reached))
}
