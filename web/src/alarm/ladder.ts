/** What the ladder of one alarm says. */
import type { Press, Step, StepName } from './types'
import { stepNames } from './types'
import { t } from './words'

export interface Rung {
  name: 'sending' | StepName
  state: 'done' | 'now' | 'open'
  text: string
  /** The incident's number, as soon as there is one. */
  number?: string
  /** The hub's time of it, or null. */
  at: string | null
}

const plain: Record<Exclude<StepName, 'received'>, () => string> = {
  seen: () => t('seen'),
  coming: () => t('coming'),
  arrived: () => t('arrived'),
  closed: () => t('closed'),
}

function taken(press: Press, name: StepName): Step[] {
  return press.alarm?.steps.filter(({ step }) => step === name) ?? []
}

/** Minutes until the first of those who are coming is there; null when nobody said. */
export function minutesLeft(press: Press, hubMs: number): number | null {
  const times = taken(press, 'coming').map(({ eta_at }) => Date.parse(eta_at ?? '')).filter((time) => !Number.isNaN(time))
  return times.length > 0 ? Math.max(0, Math.ceil((Math.min(...times) - hubMs) / 60_000)) : null
}

export function whenHere(press: Press, hubMs: number): string {
  const minutes = minutesLeft(press, hubMs)
  if (minutes === null) return ''
  return minutes > 0 ? t('comingIn', { n: minutes }) : t('comingSoon')
}

function textOf(name: StepName, steps: Step[]): string {
  if (name === 'received') return t('received')
  const by = [...new Set(steps.map((step) => step.by).filter(Boolean))].join(', ')
  return by ? t(`${name}By`, { by }) : plain[name]()
}

/** From sending to closed: what is done, what it waits for, and what may come. */
export function rungs(press: Press): Rung[] {
  const sent: Rung = {
    name: 'sending',
    state: press.state === 'sending' ? 'now' : 'done',
    text: press.state === 'sending' ? t('sending') : t('stepSending'),
    at: null,
  }
  const found = stepNames.map((name) => ({ name, steps: taken(press, name) }))
  const last = found.reduce((best, { steps }, index) => (steps.length > 0 ? index : best), -1)
  const rest = found.map(({ name, steps }, index): Rung => {
    const first = steps[0]
    const state = first ? 'done' : index === last + 1 && press.state === 'received' ? 'now' : 'open'
    const number = name === 'received' ? press.alarm?.number : undefined
    return { name, state, text: textOf(name, steps), number, at: first?.at ?? null }
  })
  // A step that was passed over (closed without arriving) is not waited for.
  return [sent, ...rest.filter((rung, index) => rung.state === 'done' || index > last)]
}

/** The one line that says how it stands. */
export function headline(press: Press): string {
  if (press.state === 'refused') return t('refusedTitle')
  if (press.state !== 'received') return t('sending')
  const names = new Set(press.alarm?.steps.map(({ step }) => step))
  if (press.alarm?.open === false || names.has('closed')) return t('headClosed')
  if (names.has('arrived')) return t('headArrived')
  if (names.has('coming')) return t('headComing')
  if (names.has('seen')) return t('headSeen')
  return t('headReceived')
}
