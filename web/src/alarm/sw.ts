/// <reference lib="webworker" />
/**
 * The service worker: keeps the files of /alarm and /tv for offline, sends on, and shows pushes.
 *
 * The console registers it for the whole site, to be pushed to; there it answers no request at all, so
 * that pages of the console are never older than the hub.
 */
import { deliverAll } from './deliver'
import { openStore } from './store'
import { hasMore } from './types'

declare const self: ServiceWorkerGlobalScope & {
  __WB_MANIFEST: (string | { url: string; revision: string | null })[]
}

interface SyncEvent extends ExtendableEvent {
  readonly tag: string
  readonly lastChance: boolean
}

/** What the hub puts into a push. */
interface Told {
  title?: string
  body?: string
  url?: string
  tag?: string
  purpose?: 'alert' | 'whistle' | 'reminder' | 'news' | 'over'
  incident_id?: string
  at?: string
}

const PAGE = '/alarm.html'
const shell = self.__WB_MANIFEST.map((entry) => (typeof entry === 'string' ? { url: entry, revision: null } : entry))
const urls = shell.map(({ url }) => (url.startsWith('/') ? url : `/${url}`))

function keepsPages(): boolean {
  return /\/(alarm|tv)$/.test(new URL(self.registration.scope).pathname)
}

/** One cache for each state of the files: a page never gets parts of two. */
function cacheName(): string {
  let sum = 5381
  for (const letter of JSON.stringify(shell)) sum = (sum * 33 + letter.charCodeAt(0)) >>> 0
  return `alarm-shell ${self.registration.scope} ${sum.toString(16)}`
}

async function keepShell(): Promise<void> {
  const cache = await caches.open(cacheName())
  await cache.addAll(urls.map((url) => new Request(url, { cache: 'reload', credentials: 'omit' })))
}

async function dropOthers(): Promise<void> {
  const own = cacheName()
  const names = await caches.keys()
  const old = names.filter((name) => name.startsWith(`alarm-shell ${self.registration.scope} `) && name !== own)
  await Promise.all(old.map((name) => caches.delete(name)))
}

async function fromShell(key: string, request: Request): Promise<Response> {
  const cache = await caches.open(cacheName())
  return (await cache.match(key)) ?? fetch(request)
}

self.addEventListener('install', (event) => {
  // A newer one waits until no alarm page is open; where there is none, there is nothing to wait for.
  event.waitUntil(keepsPages() ? keepShell() : self.skipWaiting())
})
self.addEventListener('activate', (event) => event.waitUntil(dropOthers()))

self.addEventListener('fetch', (event) => {
  const { request } = event
  const url = new URL(request.url)
  if (!keepsPages() || request.method !== 'GET' || url.origin !== self.location.origin) return
  if (request.mode === 'navigate') event.respondWith(fromShell(PAGE, request))
  else if (urls.includes(url.pathname)) event.respondWith(fromShell(url.pathname, request))
})

async function tellPages(): Promise<void> {
  for (const client of await self.clients.matchAll({ includeUncontrolled: true })) client.postMessage('alarms')
}

async function sendOn(): Promise<void> {
  const store = await openStore()
  await deliverAll(store, { timeoutMs: 20_000 })
  await tellPages()
  // A rejected event makes the browser try again later.
  if ((await store.presses()).some(hasMore)) throw new Error('not all is sent')
}

self.addEventListener('sync' as keyof ServiceWorkerGlobalScopeEventMap, (event) => {
  const sync = event as unknown as SyncEvent
  if (sync.tag === 'alarms') sync.waitUntil(sendOn())
})

function told(event: PushEvent): Told {
  try {
    return (event.data?.json() ?? {}) as Told
  } catch {
    return { body: event.data?.text() }
  }
}

async function show(news: Told): Promise<void> {
  const urgent = news.purpose === 'alert' || news.purpose === 'whistle'
  const options: NotificationOptions & { renotify?: boolean; timestamp?: number; vibrate?: number[] } = {
    body: news.body ?? '',
    icon: '/icon-192.png',
    badge: '/badge-96.png',
    requireInteraction: urgent,
    timestamp: news.at ? Date.parse(news.at) : Date.now(),
    data: { url: news.url ?? '/alarm' },
  }
  if (news.tag) Object.assign(options, { tag: news.tag, renotify: news.purpose !== 'news' })
  if (urgent) options.vibrate = [400, 200, 400, 200, 400]
  await self.registration.showNotification(news.title ?? 'Camera Hub', options)
  await tellPages()
}

self.addEventListener('push', (event) => event.waitUntil(show(told(event))))

/** Brings the page of the notification to the front, or opens it; never another site's. */
async function open(address: unknown): Promise<void> {
  const wanted = new URL(typeof address === 'string' ? address : '/alarm', self.location.origin)
  const target = wanted.origin === self.location.origin ? wanted.href : `${self.location.origin}/alarm`
  const pages = await self.clients.matchAll({ type: 'window', includeUncontrolled: true })
  const there = pages.find((page) => page.url === target)
  if (there) await there.focus()
  else await self.clients.openWindow(target)
}

self.addEventListener('notificationclick', (event) => {
  event.notification.close()
  event.waitUntil(open((event.notification.data as { url?: unknown } | null)?.url))
})
