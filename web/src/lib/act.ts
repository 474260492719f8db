import { ref, type Ref } from 'vue'
import { useI18n } from 'vue-i18n'
import { incidents } from '@/api/calls'
import { asProblem } from '@/api/problem'
import type { Incident, IncidentAction } from '@/api/types'
import { takeIncident } from '@/state/incidents'
import { may } from '@/state/session'
import { useProblemText } from './problems'
import { toastDone, toastTrouble } from './toast'

/** Whether the button for `action` is to be shown. */
export function offered(incident: Incident, action: IncidentAction): boolean {
  return incident.allowed.includes(action) && may(`incident.${action}`)
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
