import { ref, shallowRef, type Ref, type ShallowRef } from 'vue'
import { useI18n } from 'vue-i18n'
import { incidents } from '@/api/calls'
import { asProblem, type Problem } from '@/api/problem'
import type { Incident, LogEntry } from '@/api/types'
import { takeIncident } from '@/state/incidents'
import { may } from '@/state/session'
import { useProblemText } from './problems'
import { rightOf } from './stepForms'
import { toastDone, toastTrouble } from './toast'

/** Whether the button for `action` is to be shown. */
export function offered(incident: Incident, action: string): boolean {
  // Feedback waits for photos where the policy asks for some: its form is where they are added.
  const possible = incident.allowed.includes(action) || (action === 'feedback' && incident.state === 'handling')
  return possible && may(rightOf(action))
}

/**
 * Carries out steps of incidents. When somebody else was faster, says so and
 * shows the incident as it now is. Gives true when the step was done.
 */
export function useAct(): {
  busy: Ref<boolean>
  act: (incident: Incident, done: string, step: () => Promise<Incident>) => Promise<boolean>
} {
  const { t } = useI18n()
  const text = useProblemText()
  const busy = ref(false)

  async function act(incident: Incident, done: string, step: () => Promise<Incident>): Promise<boolean> {
    if (busy.value) return false
    busy.value = true
    try {
      takeIncident(await step())
      toastDone(done)
      return true
    } catch (error) {
      const problem = asProblem(error)
      if (problem.status === 409) {
        toastTrouble(t('act.overtaken', { number: incident.number }), t('act.reloaded'))
        await incidents.get(incident.id).then(takeIncident, () => undefined)
      } else {
        const { what, todo } = text(problem)
        toastTrouble(what, todo)
      }
      return false
    } finally {
      busy.value = false
    }
  }
  return { busy, act }
}

/** What others did to an incident while a form about it was open. */
export interface Overtaken {
  entries: LogEntry[]
  now: Incident
}

/**
 * Carries out a step out of a form that stays open when it fails: what was typed
 * is kept, and what others did meanwhile is told, so that the person decides again.
 */
export function useStep(): {
  busy: Ref<boolean>
  problem: ShallowRef<Problem | null>
  overtaken: ShallowRef<Overtaken | null>
  run: (seen: Incident, done: string, step: (version: number) => Promise<Incident>) => Promise<Incident | null>
} {
  const busy = ref(false)
  const problem = shallowRef<Problem | null>(null)
  const overtaken = shallowRef<Overtaken | null>(null)

  async function tell(seen: Incident): Promise<void> {
    // What the person saw when the form was opened: the page behind it may know more by now.
    const known = new Set((seen.log ?? []).map(({ id }) => id))
    const now = await incidents.get(seen.id).catch(() => null)
    if (!now) return
    takeIncident(now)
    const fresh = (now.log ?? []).filter(({ id }) => !known.has(id))
    // Nothing known before: the newest entry is what made the difference.
    overtaken.value = { now, entries: known.size > 0 ? fresh : (now.log ?? []).slice(-1) }
  }

  async function run(
    seen: Incident,
    done: string,
    step: (version: number) => Promise<Incident>,
  ): Promise<Incident | null> {
    if (busy.value) return null
    busy.value = true
    problem.value = null
    const version = overtaken.value?.now.version ?? seen.version
    overtaken.value = null
    try {
      const after = takeIncident(await step(version))
      toastDone(done)
      return after
    } catch (error) {
      const found = asProblem(error)
      if (found.code === 'version-conflict') await tell(seen)
      if (!overtaken.value) problem.value = found
      return null
    } finally {
      busy.value = false
    }
  }
  return { busy, problem, overtaken, run }
}
