/** What the alarm page and the hub say to each other (docs/design/closed-loop.md, Alarms). */

import type { components } from '@/api/schema'

type Schemas = components['schemas']
export type Alarm = Schemas['AlarmOut']
export type Kind = Alarm['kind']
export type Step = Alarm['steps'][number]
export type StepName = Step['step']
export type Me = Schemas['DeviceSelfOut']

export const kinds = ['fire', 'security', 'medical'] as const satisfies readonly Kind[]
export const stepNames = ['received', 'seen', 'coming', 'arrived', 'closed'] as const satisfies readonly StepName[]

export interface Place {
  latitude: number
  longitude: number
  accuracy_m: number
  at: string
}

/** `counting`: may still be cancelled. `sending`: until the receipt. `refused`: sending it again would not help. */
export type PressState = 'counting' | 'sending' | 'received' | 'refused'

/** One press as this device keeps it. Times that end in `Ms` are this device's clock. */
export interface Press {
  id: string
  kind: Kind
  status: 'Actual' | 'Test'
  held: boolean
  /** This device's clock, bent by what the hub's answers say the time is. */
  pressedAt: string
  madeMs: number
  sentMs: number | null
  state: PressState
  /** Status and code of the answer that refused it. */
  refusal?: { status: number; code: string }
  /** Set once its time was taken from the hub, because the hub did not take this device's. */
  retimed?: boolean
  alarm?: Alarm
  heardMs?: number
  place?: Place
  placeSent?: boolean
  mistake?: boolean
  mistakeSent?: boolean
  /** The resident has read the end of it. */
  done: boolean
}

export interface Device {
  token: string
  me: Me | null
  /** The hub says that the token counts no longer. */
  revoked: boolean
  /** How far the hub's clock is ahead of this device's. */
  aheadMs: number
}

export function isOpen(press: Press): boolean {
  return press.state === 'sending' || (press.state === 'received' && press.alarm?.open !== false)
}

/** Whether something of `press` is still to be told to the hub. */
export function hasMore(press: Press): boolean {
  if (press.state === 'sending') return true
  if (press.state !== 'received') return false
  return (press.place !== undefined && !press.placeSent) || (press.mistake === true && !press.mistakeSent)
}
