import { ref } from 'vue'
import { purposes as read } from '@/api/trust'
import type { PurposeOption } from '@/api/types'
import { onSignedOut } from './session'

/** Why somebody looks, and at what: as the hub asks it. */
export interface Reason {
  purpose: string
  reference: string
}

const options = ref<PurposeOption[]>([])
/** What was answered last, by what it was about: an incident's id, or a camera's. */
const answers = new Map<string, Reason>()

onSignedOut(() => {
  options.value = []
  answers.clear()
})

/** The purposes that the hub knows; read once in a session. */
export async function purposeOptions(): Promise<PurposeOption[]> {
  if (options.value.length === 0) options.value = await read()
  return options.value
}

export function rememberedReason(about: string): Reason | undefined {
  return answers.get(about)
}

export function rememberReason(about: string, reason: Reason): void {
  answers.set(about, { ...reason })
}
