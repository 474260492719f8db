/** What this device keeps: who it is, and its presses until the resident has put them away. */
import { openDB, type DBSchema, type IDBPDatabase } from 'idb'
import type { Device, Press } from './types'

export interface Store {
  device(): Promise<Device | null>
  setDevice(device: Device | null): Promise<void>
  /** Reads, changes and writes in one step; null when this device is not paired. */
  changeDevice(change: (device: Device) => Device): Promise<Device | null>
  presses(): Promise<Press[]>
  add(press: Press): Promise<void>
  /** Reads, changes and writes in one step; null when there is no such press. */
  change(id: string, change: (press: Press) => Press): Promise<Press | null>
  remove(id: string): Promise<void>
}

interface Tables extends DBSchema {
  device: { key: 'own'; value: Device }
  presses: { key: string; value: Press }
}

const NAME = 'camera-hub-alarm'

/** In the browser's database, which the service worker reads, too. */
class BrowserStore implements Store {
  constructor(private readonly database: IDBPDatabase<Tables>) {}

  async device(): Promise<Device | null> {
    return (await this.database.get('device', 'own')) ?? null
  }

  async setDevice(device: Device | null): Promise<void> {
    if (device) await this.database.put('device', device, 'own')
    else await this.database.delete('device', 'own')
  }

  async changeDevice(change: (device: Device) => Device): Promise<Device | null> {
    const step = this.database.transaction('device', 'readwrite')
    const found = await step.store.get('own')
    const next = found ? change(found) : null
    if (next) await step.store.put(next, 'own')
    await step.done
    return next
  }

  presses(): Promise<Press[]> {
    return this.database.getAll('presses')
  }

  async add(press: Press): Promise<void> {
    const step = this.database.transaction('presses', 'readwrite', { durability: 'strict' })
    await Promise.all([step.store.put(press, press.id), step.done])
  }

  async change(id: string, change: (press: Press) => Press): Promise<Press | null> {
    const step = this.database.transaction('presses', 'readwrite', { durability: 'strict' })
    const found = await step.store.get(id)
    const next = found ? change(found) : null
    if (next) await step.store.put(next, id)
    await step.done
    return next
  }

  async remove(id: string): Promise<void> {
    await this.database.delete('presses', id)
  }
}

/** For as long as the page lives, where the browser keeps nothing. */
export class MemoryStore implements Store {
  private own: Device | null = null
  private readonly table = new Map<string, Press>()

  device(): Promise<Device | null> {
    return Promise.resolve(this.own)
  }

  setDevice(device: Device | null): Promise<void> {
    this.own = device
    return Promise.resolve()
  }

  changeDevice(change: (device: Device) => Device): Promise<Device | null> {
    this.own = this.own ? change(this.own) : null
    return Promise.resolve(this.own)
  }

  presses(): Promise<Press[]> {
    return Promise.resolve([...this.table.values()])
  }

  add(press: Press): Promise<void> {
    this.table.set(press.id, press)
    return Promise.resolve()
  }

  change(id: string, change: (press: Press) => Press): Promise<Press | null> {
    const found = this.table.get(id)
    const next = found ? change(found) : null
    if (next) this.table.set(id, next)
    return Promise.resolve(next)
  }

  remove(id: string): Promise<void> {
    this.table.delete(id)
    return Promise.resolve()
  }
}

export async function openStore(): Promise<Store> {
  const database = await openDB<Tables>(NAME, 1, {
    upgrade(fresh) {
      fresh.createObjectStore('device')
      fresh.createObjectStore('presses')
    },
  })
  return new BrowserStore(database)
}

/** Rejects when `pending` has not settled in time; a full disk may let a write hang. */
export function within<T>(pending: Promise<T>, ms: number): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms)
    pending.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/**
 * The browser's database for as long as it works, then the page's memory, which has a copy of all.
 * `lost` is told once; nothing that was asked for fails.
 */
export class KeptStore implements Store {
  private readonly copy = new MemoryStore()
  private kept: Store | null

  private constructor(
    kept: Store | null,
    private readonly lost: () => void,
    private readonly patienceMs: number,
  ) {
    this.kept = kept
    if (!kept) lost()
  }

  static async open(open: () => Promise<Store>, lost: () => void, patienceMs = 1500): Promise<KeptStore> {
    let kept: Store | null
    try {
      kept = await within(open(), patienceMs)
    } catch {
      kept = null
    }
    const store = new KeptStore(kept, lost, patienceMs)
    await store.device()
    await store.presses()
    return store
  }

  private async run<T>(step: (store: Store) => Promise<T>, mirror: (result: T) => Promise<unknown>): Promise<T> {
    if (this.kept) {
      try {
        const result = await within(step(this.kept), this.patienceMs)
        await mirror(result)
        return result
      } catch {
        this.kept = null
        this.lost()
      }
    }
    return step(this.copy)
  }

  device(): Promise<Device | null> {
    return this.run(
      (store) => store.device(),
      (found) => this.copy.setDevice(found),
    )
  }

  setDevice(device: Device | null): Promise<void> {
    return this.run(
      (store) => store.setDevice(device),
      () => this.copy.setDevice(device),
    )
  }

  changeDevice(change: (device: Device) => Device): Promise<Device | null> {
    return this.run(
      (store) => store.changeDevice(change),
      (found) => this.copy.setDevice(found),
    )
  }

  async presses(): Promise<Press[]> {
    return this.run(
      (store) => store.presses(),
      (found) => Promise.all(found.map((press) => this.copy.add(press))),
    )
  }

  add(press: Press): Promise<void> {
    return this.run(
      (store) => store.add(press),
      () => this.copy.add(press),
    )
  }

  change(id: string, change: (press: Press) => Press): Promise<Press | null> {
    return this.run(
      (store) => store.change(id, change),
      (found) => (found ? this.copy.add(found) : Promise.resolve()),
    )
  }

  remove(id: string): Promise<void> {
    return this.run(
      (store) => store.remove(id),
      () => this.copy.remove(id),
    )
  }
}
