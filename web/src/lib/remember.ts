/** What this browser remembers; a browser that forbids storage forgets on reload. */
export function remembered(name: string): string | null {
  try {
    return localStorage.getItem(`camera-hub.${name}`)
  } catch {
    return null
  }
}

export function remember(name: string, value: string): void {
  try {
    localStorage.setItem(`camera-hub.${name}`, value)
  } catch {
    return
  }
}
