/** The browser's offer to put the page on the home screen. */
import { ref } from 'vue'

interface InstallEvent extends Event {
  prompt(): Promise<unknown>
}

export const canInstall = ref(false)
let offer: InstallEvent | null = null

export function watchInstall(): void {
  window.addEventListener('beforeinstallprompt', (event) => {
    event.preventDefault()
    offer = event as InstallEvent
    canInstall.value = true
  })
  window.addEventListener('appinstalled', () => (canInstall.value = false))
}

export async function install(): Promise<void> {
  await offer?.prompt()
  offer = null
  canInstall.value = false
}
