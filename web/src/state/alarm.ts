/** The audible alarm: a tone per severity, again and again while a grave incident waits. */
import { computed, effectScope, ref, watch, type EffectScope } from 'vue'
import { isAlarm, newCalls, ringsOn, severities } from '@/lib/incidents'
import type { Incident, Severity } from '@/api/types'
import { openIncidents } from './incidents'
import { sound, volume } from './preferences'
import { onSignedOut } from './session'

const REPEAT_MS = 8000

/** What is to be heard: a severity, or that somebody pressed for help, which sounds like nothing else. */
type Tune = Severity | 'pressed'

/** Notes of each tune: start in seconds, frequency in Hz, length in seconds. */
const melodies: Record<Tune, [number, number, number][]> = {
  pressed: [0, 0.5, 1, 1.5, 2, 2.5].map((at, i) => [at, i % 2 ? 554 : 880, 0.46]),
  extreme: [0, 0.24, 0.48, 0.72, 0.96, 1.2].map((at, i) => [at, i % 2 ? 740 : 988, 0.2]),
  severe: [
    [0, 880, 0.26],
    [0.34, 660, 0.26],
    [0.68, 880, 0.26],
  ],
  moderate: [
    [0, 587, 0.22],
    [0.28, 784, 0.3],
  ],
  minor: [[0, 523, 0.3]],
  unknown: [[0, 523, 0.3]],
}

const context = ref<AudioContext | null>(null)
const running = ref(false)

/** `blocked`: wanted, but the browser waits for a click before it lets a page sound. */
export const soundState = computed(() => {
  if (sound.value !== 'on') return sound.value
  return running.value ? 'on' : 'blocked'
})
export const ringing = computed(() => openIncidents.value.some(ringsOn))

async function wake(): Promise<void> {
  const audio = context.value ?? new AudioContext()
  context.value = audio
  audio.onstatechange = () => {
    running.value = audio.state === 'running'
  }
  if (audio.state !== 'running') await audio.resume().catch(() => undefined)
  running.value = audio.state === 'running'
}

/** Sounds `tune` once. */
export function play(tune: Tune): void {
  const audio = context.value
  if (!audio || audio.state !== 'running' || sound.value !== 'on') return
  const start = audio.currentTime + 0.02
  for (const [at, frequency, length] of melodies[tune]) {
    const tone = audio.createOscillator()
    const gain = audio.createGain()
    tone.type = tune === 'extreme' || tune === 'pressed' ? 'square' : 'triangle'
    tone.frequency.value = frequency
    const loudness = volume.value * (tone.type === 'square' ? 0.35 : 0.9)
    gain.gain.setValueAtTime(0, start + at)
    gain.gain.linearRampToValueAtTime(loudness, start + at + 0.015)
    gain.gain.setValueAtTime(loudness, start + at + length - 0.04)
    gain.gain.linearRampToValueAtTime(0, start + at + length)
    tone.connect(gain).connect(audio.destination)
    tone.start(start + at)
    tone.stop(start + at + length)
  }
}

/** Turns the alarm on; called from a click, so that the browser allows it. */
export async function soundOn(): Promise<void> {
  sound.value = 'on'
  await wake()
  play('minor')
}

export function soundOff(): void {
  sound.value = 'off'
}

function gravest(incidents: readonly Incident[]): Tune | null {
  if (incidents.some((incident) => isAlarm(incident) && incident.status === 'actual')) return 'pressed'
  return severities.find((severity) => incidents.some((incident) => incident.severity === severity)) ?? null
}

let scope: EffectScope | null = null
let repeat: ReturnType<typeof setInterval> | undefined

function unlock(): void {
  if (sound.value === 'on' && !running.value) void wake()
}

export function startAlarm(): void {
  if (scope) return
  scope = effectScope(true)
  const calls = new Map<string, number>()
  scope.run(() => {
    watch(
      openIncidents,
      (open) => {
        const tune = gravest(newCalls(open, calls))
        if (tune) play(tune)
      },
      { immediate: true },
    )
  })
  repeat = setInterval(() => {
    const tune = gravest(openIncidents.value.filter(ringsOn))
    if (tune) play(tune)
  }, REPEAT_MS)
  addEventListener('pointerdown', unlock)
  addEventListener('keydown', unlock)
  if (sound.value === 'on') void wake()
}

onSignedOut(() => {
  scope?.stop()
  scope = null
  clearInterval(repeat)
  removeEventListener('pointerdown', unlock)
  removeEventListener('keydown', unlock)
})

