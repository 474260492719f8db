import { useI18n } from 'vue-i18n'
import type { Incident } from '@/api/types'

/** What the hub writes when an alarm says nothing of its own, with or without the home's name behind it. */
const PLAIN = ['Fire alarm', 'Security alarm', 'Medical alarm']

/** What a headline is made of: of an incident, or of the page that a link in a message opens. */
export type Headed = Pick<Incident, 'headline' | 'zone_name' | 'camera_name'> & { kind: string; household_name?: string | null }

/** What happened and where, in the person's language; the hub's headline for kinds unknown here. */
export function useHeadline(): {
  kind: (incident: Headed) => string
  headline: (incident: Headed) => string
} {
  const { t, te } = useI18n()
  return {
    kind: (incident) => (te(`kind.${incident.kind}`) ? t(`kind.${incident.kind}`) : incident.kind),
    headline: (incident) => {
      const { kind, zone_name: zone, camera_name: camera } = incident
      const home = incident.household_name
      if (home && te(`headlineHome.${kind}`)) {
        // Whoever raised it may have said more than which button it was.
        const plain = PLAIN.some((words) => incident.headline === words || incident.headline === `${words}: ${home}`)
        return plain ? t(`headlineHome.${kind}`, { home }) : `${home}: ${incident.headline}`
      }
      if (zone && camera && te(`headline.${kind}`)) return t(`headline.${kind}`, { zone, camera })
      if (camera && te(`headlineCamera.${kind}`)) return t(`headlineCamera.${kind}`, { camera })
      return incident.headline
    },
  }
}
