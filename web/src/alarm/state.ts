/** What the alarm page shows: the store's content, the countdown, the connection. */
import { computed, ref, shallowRef } from 'vue'
import { ask, Away, observe, type Answer } from './hub'
import { newId } from './ids'
import { Sender } from './sender'
import { KeptStore, openStore, type Store } from './store'
import { hasMore, isOpen, type Alarm, type Device, type Kind, type Me, type Press } from './types'
import { sendWithoutPage } from './worker'

export const COUNTDOWN_MS = 4000
/** Without a receipt for so long, the page offers telephone and messages. */
export const FALLBACK_MS = 8000
/** A countdown that a closed page left behind goes on when the page is opened again within so long. */
const LEFT_BEHIND_MS = 5 * 60_000
/** A countdown that ended so much too late was asleep. */
const SLEPT_MS = 3000
const POLL_MS = 2000
const ALIVE_MS = 60_000
/** Nothing heard for so long shows as no connection. */
const SILENT_MS = 12_000
const TEST_EVERY_MS = 30 * 86_400_000
const PUT_AWAY_AFTER_MS = 30 * 86_400_000

export const ready = ref(false)
/** False once the browser refuses to store: the page's memory goes on. */
export const kept = ref(true)
/** Whether the browser sends on when this page is closed. */
export const goesOn = ref(false)
export const device = shallowRef<Device | null>(null)
export const presses = shallowRef<Press[]>([])
export const nowMs = ref(Date.now())
export const heardMs = ref(0)
export const failing = ref(false)
export const counting = shallowRef<Counting | null>(null)
/** What is left of the countdown. */
export const leftMs = ref(0)

interface Counting {
  press: Press
  /** Wall clock and the browser's own: a countdown that slept is told from one that ran. */
  beganMs: number
  endsAt: number
}

let store: Store
let sender: Sender
let findsPlace = false
const etags = new Map<string, string>()

/** The hub's time, as far as this device has heard it. */
export const hubMs = computed(() => nowMs.value + (device.value?.aheadMs ?? 0))
export const connection = computed<'there' | 'away' | 'unknown'>(() => {
  if (failing.value || (heardMs.value > 0 && nowMs.value - heardMs.value > ALIVE_MS + SILENT_MS)) return 'away'
  return heardMs.value > 0 ? 'there' : 'unknown'
})
const inOrder = computed(() => [...presses.value].sort((a, b) => b.madeMs - a.madeMs))
/** The press whose ladder is shown: the newest that is not put away. */
export const current = computed(() => inOrder.value.find((press) => press.status === 'Actual' && shown(press)) ?? null)
export const lastTest = computed(() => inOrder.value.find((press) => press.status === 'Test' && press.state !== 'counting') ?? null)
/** Presses of the same incident before `press`: then it has rung again. */
export function joined(press: Press): boolean {
  const incident = press.alarm?.incident_id
  return presses.value.some((other) => other.alarm?.incident_id === incident && other.madeMs < press.madeMs && incident !== undefined)
}
export const testDue = computed(() => {
  const me = device.value?.me
  if (!me) return false
  if (me.tested_at === null) return true
  return hubMs.value - Date.parse(me.tested_at) > TEST_EVERY_MS
})

function shown(press: Press): boolean {
  return !press.done && press.state !== 'counting'
}

/** Whether something is going on in which the page must not be changed under the resident's hands. */
export const busy = computed(() => counting.value !== null || presses.value.some((press) => !press.done && isOpen(press)))

export async function refresh(): Promise<void> {
  const [own, all] = [await store.device(), await store.presses()]
  device.value = own
  presses.value = all
}

function heard(aheadMs: number): void {
  heardMs.value = Date.now()
  nowMs.value = heardMs.value
  failing.value = false
  const known = device.value
  // A second more or less is the header's own grain.
  if (known && Math.abs(known.aheadMs - aheadMs) > 2000)
    void store.changeDevice((own) => ({ ...own, aheadMs })).then((own) => (device.value = own))
}

/** Asks the hub with this device's token; null without an answer. A 401 ends the token. */
export async function askHub(asked: Parameters<typeof ask>[0]): Promise<Answer | null> {
  const token = device.value?.token
  if (!token) return null
  try {
    const answer = await ask({ ...asked, token })
    const revoked = answer.status === 401
    if (device.value && revoked !== device.value.revoked && device.value.token === token)
      device.value = await store.changeDevice((own) => (own.token === token ? { ...own, revoked } : own))
    return answer
  } catch (error) {
    if (!(error instanceof Away)) throw error
    failing.value = true
    return null
  }
}

export async function readMe(): Promise<void> {
  const answer = await askHub({ path: '/alarm-devices/me' })
  if (answer?.status === 200)
    device.value = await store.changeDevice((own) => ({ ...own, me: answer.body as Me }))
}

interface Battery {
  level: number
}

async function signOfLife(): Promise<void> {
  if (document.hidden || !device.value || device.value.revoked) return
  const source = (navigator as { getBattery?: () => Promise<Battery> }).getBattery
  const battery = source ? await source.call(navigator).catch(() => null) : null
  const body = battery ? { battery_pct: Math.round(battery.level * 100) } : {}
  await askHub({ method: 'POST', path: '/alarm-devices/me/heartbeat', body })
}

/** Reads how an alarm stands; an older answer never replaces a newer one, as requests go one by one. */
async function follow(press: Press): Promise<void> {
  const answer = await askHub({ path: `/alarms/${press.id}`, etag: etags.get(press.id), timeoutMs: 8000 })
  if (answer?.code === 'alarm-not-received') {
    // A hub that was put back to an earlier state has forgotten its receipt.
    await store.change(press.id, (now) => ({ ...now, state: 'sending', sentMs: Date.now(), alarm: undefined }))
    await refresh()
    sender.kick()
    return
  }
  if (!answer || (answer.status !== 200 && answer.status !== 304)) return
  const alarm = answer.status === 200 ? (answer.body as Alarm) : undefined
  if (alarm && answer.etag) etags.set(press.id, answer.etag)
  const before = press.alarm?.steps.length ?? 0
  await store.change(press.id, (now) => ({ ...now, alarm: alarm ?? now.alarm, heardMs: Date.now() }))
  await refresh()
  if (alarm && alarm.steps.length > before) navigator.vibrate?.(200)
}

async function poll(): Promise<void> {
  if (document.hidden) return
  const open = presses.value.filter((press) => !press.done && press.state === 'received' && isOpen(press))
  for (const press of open) await follow(press)
}

function every(ms: number, step: () => Promise<unknown>): void {
  let running = false
  setInterval(() => {
    if (running) return
    running = true
    void step().finally(() => (running = false))
  }, ms)
}

function locate(id: string): void {
  if (!findsPlace) return
  navigator.geolocation?.getCurrentPosition(
    ({ coords, timestamp }) => {
      const place = {
        latitude: coords.latitude,
        longitude: coords.longitude,
        accuracy_m: coords.accuracy,
        at: new Date(timestamp + (device.value?.aheadMs ?? 0)).toISOString(),
      }
      void store.change(id, (press) => ({ ...press, place })).then(() => sender.kick())
    },
    () => undefined, // the household's address stands
    { enableHighAccuracy: true, timeout: 60_000, maximumAge: 60_000 },
  )
}

function fresh(kind: Kind, status: Press['status']): Press {
  const madeMs = Date.now()
  const pressedAt = new Date(madeMs + (device.value?.aheadMs ?? 0)).toISOString()
  return { id: newId(), kind, status, held: false, pressedAt, madeMs, sentMs: null, state: 'counting', done: false }
}

/** Begins the countdown; it is kept, so that a page that dies in it has not forgotten the press. */
export function press(kind: Kind): void {
  if (counting.value) return
  const made = fresh(kind, 'Actual')
  countDown(made)
  navigator.vibrate?.(120)
  void store.add(made)
}

function countDown(made: Press): void {
  counting.value = { press: made, beganMs: Date.now(), endsAt: performance.now() + COUNTDOWN_MS }
  leftMs.value = COUNTDOWN_MS
  clearInterval(ticking)
  ticking = setInterval(tick, 100)
}
let ticking: ReturnType<typeof setInterval> | undefined

function tick(): void {
  const now = counting.value
  if (!now) {
    clearInterval(ticking)
    return
  }
  if (Date.now() - now.beganMs > COUNTDOWN_MS + SLEPT_MS) {
    // The phone slept meanwhile: as if the page had been closed.
    counting.value = null
    void takeUp().then(refresh)
    return
  }
  const left = Math.max(0, now.endsAt - performance.now())
  if (Math.ceil(left / 1000) < Math.ceil(leftMs.value / 1000)) navigator.vibrate?.(60)
  leftMs.value = left
  if (left === 0) void sendNow()
}

export async function cancelCountdown(): Promise<void> {
  const made = counting.value?.press
  if (!made || sendingOut.has(made.id)) return
  counting.value = null
  await store.remove(made.id)
  await refresh()
}

/** Ends the countdown by sending. The press is stored before anything shows it as being sent. */
export async function sendNow(held = false): Promise<void> {
  const made = counting.value?.press
  if (!made || sendingOut.has(made.id)) return
  sendingOut.add(made.id)
  await send({ ...made, held, state: 'sending', sentMs: Date.now() })
  counting.value = null
}
const sendingOut = new Set<string>()

async function send(made: Press): Promise<void> {
  await store.add(made)
  await refresh()
  sender.kick()
  navigator.vibrate?.([200, 100, 200])
  if (made.status === 'Actual') locate(made.id)
  if (kept.value) goesOn.value = await sendWithoutPage()
}

/** Holding the button down for long enough. */
export async function sendHeld(kind: Kind): Promise<void> {
  if (counting.value) return
  press(kind)
  await sendNow(true)
}

export async function sendTest(): Promise<void> {
  const earlier = presses.value.filter(({ status }) => status === 'Test')
  for (const { id } of earlier) await store.remove(id)
  await send({ ...fresh('security', 'Test'), state: 'sending', sentMs: Date.now() })
}

export async function sayMistake(id: string): Promise<void> {
  await store.change(id, (made) => ({ ...made, mistake: true }))
  await refresh()
  sender.kick()
  if (kept.value) goesOn.value = await sendWithoutPage()
}

export async function putAway(): Promise<void> {
  for (const { id } of presses.value.filter((made) => shown(made) && !isOpen(made)))
    await store.change(id, (made) => ({ ...made, done: true }))
  await refresh()
}

export type PairResult = 'good' | 'wrong' | 'away' | 'not-kept' | { waitS: number }

export async function pair(code: string, name: string): Promise<PairResult> {
  try {
    const answer = await ask({ method: 'POST', path: '/alarm-devices/pair', body: { code, name } })
    if (answer.status !== 201) return 'wrong'
    await keepToken((answer.body as { token: string }).token)
    return kept.value ? 'good' : 'not-kept'
  } catch (error) {
    if (!(error instanceof Away)) throw error
    return error.retryAfterMs > 0 ? { waitS: Math.ceil(error.retryAfterMs / 1000) } : 'away'
  }
}

async function keepToken(token: string): Promise<void> {
  // The numbers to call are there from the first moment on, should the network go in the next.
  const answer = await ask({ path: '/alarm-devices/me', token, timeoutMs: 5000 }).catch(() => null)
  const me = answer?.status === 200 ? (answer.body as Me) : null
  await store.setDevice({ token, me, revoked: false, aheadMs: 0 })
  await refresh()
}

export async function forget(): Promise<void> {
  await store.setDevice(null)
  for (const { id } of presses.value) await store.remove(id)
  await refresh()
}

/** The household's alarms of the last days; null without an answer. */
export async function readHistory(): Promise<Alarm[] | null> {
  const answer = await askHub({ path: '/alarms' })
  if (answer?.status !== 200) return null
  return answer.body as Alarm[]
}

async function takeUp(): Promise<void> {
  for (const left of await store.presses()) {
    const age = Date.now() - left.madeMs
    if (left.state === 'counting' && age < LEFT_BEHIND_MS && !counting.value)
      // Nobody cancelled it: it goes on, with the whole time to cancel it.
      countDown(left)
    else if (left.state === 'counting' || (left.done && age > PUT_AWAY_AFTER_MS)) await store.remove(left.id)
  }
}

/** Opens the store and starts everything; shows what was under way when the page was closed. */
export async function start(options: { place: boolean }): Promise<void> {
  findsPlace = options.place
  store = await KeptStore.open(openStore, () => (kept.value = false))
  sender = new Sender(store, refresh)
  observe(heard)
  await takeUp()
  await refresh()
  ready.value = true
  setInterval(() => (nowMs.value = Date.now()), 1000)
  every(POLL_MS, poll)
  every(ALIVE_MS, signOfLife)
  const wake = (): void => {
    if (document.hidden) return
    nowMs.value = Date.now()
    sender.kick()
    void refresh().then(poll)
    void readMe()
  }
  document.addEventListener('visibilitychange', wake)
  window.addEventListener('online', () => sender.kick(true))
  window.addEventListener('online', () => void readMe())
  window.addEventListener('offline', () => (failing.value = true))
  navigator.serviceWorker?.addEventListener('message', () => void refresh())
  sender.kick()
  if (kept.value && presses.value.some(hasMore)) goesOn.value = await sendWithoutPage()
  await readMe()
  await signOfLife()
}
