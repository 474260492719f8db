import { computed, readonly, ref } from 'vue'
import { sessions } from '@/api/calls'
import { observe, setCsrfToken } from '@/api/client'
import { asProblem } from '@/api/problem'
import type { Session } from '@/api/types'
import { learnHubTime } from './clock'
import { heard } from './health'

const session = ref<Session | null>(null)
const ended = ref(false)
const leaving = new Set<() => void>()

export const account = computed(() => session.value?.account ?? null)
/** What the account has to do before anything else is open to it. */
export const must = computed(() => session.value?.must ?? null)
export const signedIn = computed(() => session.value !== null)
/** True when the session ended by itself, so that the sign-in page can say so. */
export const sessionEnded = readonly(ended)

/** Whether the signed-in account may do `action` somewhere. */
export function may(action: string): boolean {
  return session.value?.actions.includes(action) ?? false
}

/** Calls `listener` whenever a session ends. */
export function onSignedOut(listener: () => void): void {
  leaving.add(listener)
}

function take(next: Session | null): void {
  const had = session.value !== null
  session.value = next
  setCsrfToken(next?.csrf_token ?? '')
  if (had && next === null) for (const listener of leaving) listener()
}

observe({
  signedOut: () => {
    ended.value = session.value !== null
    take(null)
  },
  answer: (reached, date) => {
    learnHubTime(date)
    heard(reached)
  },
})

let restoring: Promise<void> | null = null

/** Takes up the session of this browser's cookie, if there is one. */
export function restore(): Promise<void> {
  restoring ??= sessions.current().then(take, (error: unknown) => {
    // A hub that is away says nothing about the session: ask again next time.
    if (asProblem(error).status !== 401) restoring = null
  })
  return restoring
}

/** Takes up the session that a way of signing in gave, or one with other rights. */
export function enter(next: Session): void {
  take(next)
  ended.value = false
}

export async function signOut(): Promise<void> {
  await sessions.end()
  ended.value = false
  take(null)
}

/** Asks the hub whether the session still holds, and forgets it if not. */
export async function recheck(): Promise<void> {
  try {
    take(await sessions.current())
  } catch (error) {
    if (asProblem(error).status === 401) {
      ended.value = true
      take(null)
    }
  }
}
