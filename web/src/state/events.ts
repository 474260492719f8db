import { readonly, ref } from 'vue'
import { health } from '@/api/calls'
import type { CameraStatus, Incident } from '@/api/types'
import { asProblem } from '@/api/problem'
import { forgetCameras, loadCameras, refreshCamera, takeStatus } from './cameras'
import { forgetIncidents, incidentById, loadOpen, takeIncident } from './incidents'
import { onHubBack } from './health'
import { may, onSignedOut, recheck, signedIn } from './session'

/** How often the open incidents are read again, in case the stream is silently dead. */
const CHECK_MS = 30_000
const RETRY_MS = [1000, 2000, 5000, 10_000]

export type Link = 'off' | 'connecting' | 'live' | 'reconnecting'
export type IncidentNews = 'opened' | 'updated' | 'escalated'

const state = ref<Link>('off')
export const link = readonly(state)

let source: EventSource | null = null
let retry: ReturnType<typeof setTimeout> | undefined
let check: ReturnType<typeof setInterval> | undefined
let attempts = 0
const listeners = new Set<(news: IncidentNews, incident: Incident) => void>()

/** Calls `listener` for what the stream says of incidents. */
export function onIncidentNews(listener: (news: IncidentNews, incident: Incident) => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

async function reload(): Promise<boolean> {
  const [surprise] = await Promise.all([
    may('incident.list') ? loadOpen() : Promise.resolve(false),
    may('camera.list') ? loadCameras() : Promise.resolve(),
  ])
  return surprise
}

function hear(news: IncidentNews): (event: MessageEvent<string>) => void {
  return (event) => {
    // The data is the incident with a few fields about the event itself.
    const arrived = JSON.parse(event.data) as Incident
    const before = incidentById(arrived.id)
    const kept = takeIncident(arrived)
    if (kept !== before) for (const listener of listeners) listener(news, kept)
  }
}

function again(): void {
  source?.close()
  source = null
  if (!signedIn.value || !may('event.stream')) return
  state.value = 'reconnecting'
  const wait = RETRY_MS[Math.min(attempts, RETRY_MS.length - 1)]
  attempts += 1
  clearTimeout(retry)
  retry = setTimeout(() => {
    // A refused stream may mean an ended session: the session's owner says so.
    void recheck().then(() => {
      if (signedIn.value) open()
    })
  }, wait)
}

function open(): void {
  clearTimeout(retry)
  retry = undefined
  source?.close()
  const stream = new EventSource('/api/v1/events')
  source = stream
  stream.onopen = () => {
    reload().then(
      () => {
        attempts = 0
        if (source === stream) state.value = 'live'
      },
      (error: unknown) => {
        if (asProblem(error).status !== 401) again()
      },
    )
  }
  stream.onerror = () => {
    state.value = 'reconnecting'
    health().catch(() => undefined) // tells whether the hub is away or only the stream broke
    // A browser retries by itself unless it gave up.
    if (stream.readyState === EventSource.CLOSED && source === stream) again()
  }
  stream.addEventListener('incident.opened', hear('opened'))
  stream.addEventListener('incident.updated', hear('updated'))
  stream.addEventListener('incident.escalated', hear('escalated'))
  stream.addEventListener('camera.state', (event: MessageEvent<string>) => {
    const { camera_id, status } = JSON.parse(event.data) as { camera_id: string; status: CameraStatus }
    takeStatus(camera_id, status)
  })
  stream.addEventListener('camera.changed', (event: MessageEvent<string>) => {
    const { camera_id } = JSON.parse(event.data) as { camera_id: string }
    if (may('camera.read')) void refreshCamera(camera_id)
  })
  stream.addEventListener('reset', () => void reload().catch(again))
}

/** Opens the stream for the signed-in account; safe to call again. */
export function startEvents(): void {
  if (source || retry || !may('event.stream')) {
    if (!may('event.stream')) void reload().catch(() => undefined)
    return
  }
  state.value = 'connecting'
  open()
  check = setInterval(() => {
    if (state.value !== 'live' || !may('incident.list')) return
    loadOpen().then(
      (surprise) => {
        if (surprise) open()
      },
      () => undefined,
    )
  }, CHECK_MS)
}

function stopEvents(): void {
  source?.close()
  source = null
  clearTimeout(retry)
  retry = undefined
  clearInterval(check)
  attempts = 0
  state.value = 'off'
  forgetIncidents()
  forgetCameras()
}

onSignedOut(stopEvents)
onHubBack(() => {
  if (state.value === 'reconnecting') {
    attempts = 0
    again()
  }
})
