/** What the console does for the alarm page of the same browser: makes it a household's device. */
import { client, patience, result } from '@/api/client'
import { openStore, within } from './store'

const PATIENCE_MS = 2000

/** Whose alarm this browser presses, or null. */
export async function ownAlarm(): Promise<{ householdId: string; name: string } | null> {
  try {
    const device = await within(openStore().then((store) => store.device()), PATIENCE_MS)
    const me = device?.revoked === false ? device.me : null
    return me ? { householdId: me.device.household_id, name: me.household.name } : null
  } catch {
    return null // a browser without storage is no alarm
  }
}

/**
 * Lets this browser into the household and keeps its token; false where the browser keeps nothing.
 *
 * Rejects with a `Problem` when the hub says no.
 */
export async function usePhone(household_id: string, name: string): Promise<boolean> {
  const store = await within(openStore(), PATIENCE_MS).catch(() => null)
  if (!store) return false
  const issued = await result(
    client.POST('/api/v1/households/{household_id}/alarm-devices', {
      params: { path: { household_id } },
      body: { kind: 'phone', name, encrypted: false, key_format: 'hex' },
      signal: patience(),
    }),
  )
  if (!issued.token) return false
  await store.setDevice({ token: issued.token, me: null, revoked: false, aheadMs: 0 })
  return true
}
