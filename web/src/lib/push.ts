/** Messages of the hub on this device while no page of it is open: Web Push. */

/** `needs-install`: an iPhone pushes only to pages on the home screen. */
export type PushSupport = 'yes' | 'no' | 'insecure' | 'needs-install'

export function pushSupport(): PushSupport {
  if (!globalThis.isSecureContext) return 'insecure'
  if ('serviceWorker' in navigator && 'PushManager' in globalThis && 'Notification' in globalThis) return 'yes'
  return /iP(hone|ad)/.test(navigator.userAgent) ? 'needs-install' : 'no'
}

function bytes(base64url: string): Uint8Array<ArrayBuffer> {
  const padded = base64url.replaceAll('-', '+').replaceAll('_', '/')
  return Uint8Array.from(atob(padded), (letter) => letter.charCodeAt(0))
}

async function registration(): Promise<ServiceWorkerRegistration> {
  await navigator.serviceWorker.register('/sw.js')
  return navigator.serviceWorker.ready
}

/** What this browser is subscribed with; null where it is not. */
export async function subscribed(): Promise<PushSubscription | null> {
  if (pushSupport() !== 'yes') return null
  const known = await navigator.serviceWorker.getRegistration('/')
  return (await known?.pushManager.getSubscription()) ?? null
}

/** Asks the person, then the browser; null when the person says no. */
export async function subscribe(key: string): Promise<PushSubscription | null> {
  if ((await Notification.requestPermission()) !== 'granted') return null
  const manager = (await registration()).pushManager
  const old = await manager.getSubscription()
  const wanted = bytes(key)
  const had = old?.options.applicationServerKey
  if (old && had && sameBytes(new Uint8Array(had), wanted)) return old
  // Made with another key, of a hub that was set up anew: nothing would arrive.
  await old?.unsubscribe()
  return manager.subscribe({ userVisibleOnly: true, applicationServerKey: wanted })
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index])
}
