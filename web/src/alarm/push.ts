/** Notifications for this device: the browser's subscription, told to the hub. */
import { askHub, device } from './state'
import { subscribePush, unsubscribePush } from './worker'

const PATH = '/alarm-devices/me/push'

/** Switches notifications on or off; false when the person, the browser or the hub did not go along. */
export async function switchPush(on: boolean): Promise<boolean> {
  try {
    return on ? await turnOn(device.value?.me?.push_key ?? '') : await turnOff()
  } catch {
    return false // the push service of the browser cannot be reached
  }
}

async function turnOn(key: string): Promise<boolean> {
  const subscription = await subscribePush(key)
  if (!subscription) return false
  const answer = await askHub({ method: 'POST', path: PATH, body: subscription })
  if (answer && answer.status < 300) return true
  await unsubscribePush()
  return false
}

async function turnOff(): Promise<boolean> {
  const endpoint = await unsubscribePush()
  if (endpoint) await askHub({ method: 'DELETE', path: PATH, body: { endpoint } })
  return true
}
