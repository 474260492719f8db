/** What each step of an incident asks of the person who takes it. */

/** Steps by the hub's names; `note` and `photo` change no state. */
export const ALL_STEPS = [
  'acknowledge',
  'resume',
  'verify',
  'feedback',
  'dispatch',
  'handle',
  'close',
  'triage',
  'transfer',
  'send_back',
  'suspend',
  'note',
  'photo',
  'merge',
  'unmerge',
  'whistle',
  'reopen',
  'reject',
] as const
export type StepAction = (typeof ALL_STEPS)[number]

/** Steps that ask for nothing are taken by one press. */
export type AskedStep = Exclude<StepAction, 'acknowledge' | 'handle' | 'resume'>

export interface Shape {
  /** The last part of the route. */
  route: string
  /** What the hub calls the text, and whether it must be there. */
  text: 'note' | 'reason' | 'text' | null
  needed: boolean
  /** Whether the body names the version that the person saw. */
  versioned: boolean
  danger?: boolean
}

export const SHAPES: Record<AskedStep, Shape> = {
  triage: { route: 'triage', text: 'note', needed: false, versioned: true },
  dispatch: { route: 'dispatch', text: 'note', needed: false, versioned: true },
  transfer: { route: 'transfer', text: 'reason', needed: true, versioned: true },
  send_back: { route: 'send-back', text: 'reason', needed: true, versioned: true },
  feedback: { route: 'feedback', text: 'note', needed: true, versioned: true },
  verify: { route: 'verify', text: 'note', needed: true, versioned: true },
  close: { route: 'close', text: 'note', needed: true, versioned: true },
  suspend: { route: 'suspend', text: 'reason', needed: true, versioned: true },
  reopen: { route: 'reopen', text: 'reason', needed: true, versioned: true },
  merge: { route: 'merge', text: 'reason', needed: true, versioned: true },
  unmerge: { route: 'unmerge', text: 'reason', needed: true, versioned: true },
  reject: { route: 'reject', text: 'reason', needed: true, versioned: true, danger: true },
  whistle: { route: 'whistle', text: 'reason', needed: true, versioned: false },
  note: { route: 'notes', text: 'text', needed: true, versioned: false },
  photo: { route: 'photos', text: null, needed: false, versioned: false },
}

/** The action that the session must hold for a step. */
const rights: Partial<Record<StepAction, string>> = { verify: 'incident.close', unmerge: 'incident.merge' }

export function rightOf(step: string): string {
  return rights[step as StepAction] ?? `incident.${step}`
}
