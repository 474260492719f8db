/** The service worker as the page sees it: it keeps the page for offline, sends on, and shows pushes. */

interface SyncRegistration extends ServiceWorkerRegistration {
  sync?: { register(tag: string): Promise<void> }
}

export const SYNC_TAG = 'alarms'
const SCRIPT = '/sw.js'

let registration: Promise<SyncRegistration | null> | undefined

/**
 * Registers the worker for `scope` only: pages of the console are never in its hands.
 *
 * A newer worker waits until no alarm page is open, so it never takes over in the middle of an alarm.
 */
export function startWorker(scope: '/alarm' | '/tv'): Promise<SyncRegistration | null> {
  registration ??=
    'serviceWorker' in navigator
      ? navigator.serviceWorker.register(SCRIPT, { scope, updateViaCache: 'none' }).catch(() => null)
      : Promise.resolve(null)
  return registration
}

/** Asks the browser to go on sending when the page is closed; false where it cannot or may not. */
export async function sendWithoutPage(): Promise<boolean> {
  try {
    const sync = (await registration)?.sync
    await sync?.register(SYNC_TAG)
    return sync !== undefined
  } catch {
    return false // not permitted: the page itself sends on
  }
}

function keyBytes(publicKey: string): Uint8Array<ArrayBuffer> {
  const text = atob(publicKey.replace(/-/g, '+').replace(/_/g, '/'))
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0))
}

export type PushChoice = 'on' | 'off' | 'denied' | 'never'

export async function pushState(): Promise<PushChoice> {
  const found = await registration
  if (!found || !('pushManager' in found) || typeof Notification === 'undefined') return 'never'
  if (Notification.permission === 'denied') return 'denied'
  return (await found.pushManager.getSubscription()) ? 'on' : 'off'
}

/** Asks the person, then the browser's push service; null when one of them says no. */
export async function subscribePush(publicKey: string): Promise<PushSubscriptionJSON | null> {
  const found = await registration
  if (!found || (await Notification.requestPermission()) !== 'granted') return null
  const options = { userVisibleOnly: true, applicationServerKey: keyBytes(publicKey) }
  return (await found.pushManager.subscribe(options)).toJSON()
}

export async function unsubscribePush(): Promise<string | null> {
  const own = await (await registration)?.pushManager.getSubscription()
  if (!own) return null
  await own.unsubscribe()
  return own.endpoint
}
