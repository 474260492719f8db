/** A video element that is fed by Media Source Extensions. */

const playable = new Map<string, boolean>()

/** Whether this browser plays `codec` (RFC 6381). */
export function plays(codec: string): boolean {
  const known = playable.get(codec) ?? MediaSource.isTypeSupported(`video/mp4; codecs="${codec}"`)
  playable.set(codec, known)
  return known
}

/** A video element for `Source`, not on any page yet. */
export function makeVideo(): HTMLVideoElement {
  return Object.assign(document.createElement('video'), { playsInline: true, disablePictureInPicture: true })
}

/** The element is on the page or not yet: its media source opens at once, so that what comes finds it open. */
export class Source {
  private media!: MediaSource
  private opened!: Promise<unknown>
  private url = ''
  private mime = ''
  buffer: SourceBuffer | null = null

  constructor(readonly video: HTMLVideoElement) {
    video.muted = true
    video.disableRemotePlayback = true
    this.open()
  }

  private open(): void {
    const media = new MediaSource()
    this.media = media
    this.opened = new Promise((done) => media.addEventListener('sourceopen', done, { once: true }))
    this.url = URL.createObjectURL(media)
    this.video.src = this.url
  }

  /** Takes all pictures away; nothing can be fed to it any more. */
  close(): void {
    this.buffer = null
    this.mime = ''
    URL.revokeObjectURL(this.url)
    this.video.removeAttribute('src')
    this.video.load()
  }

  /** Takes all pictures away and begins anew: after an error there is no other way. */
  renew(): void {
    this.close()
    this.open()
  }

  get alive(): boolean {
    return this.buffer !== null && this.media.readyState === 'open'
  }

  /** Its buffer, ready for media of `mime`; null when it was closed meanwhile. `seconds`: how long all of it is. */
  async ready(mime: string, seconds: number): Promise<{ buffer: SourceBuffer; changed: boolean } | null> {
    const media = this.media
    await this.opened
    if (this.media !== media || media.readyState !== 'open') return null
    if (!this.buffer) {
      media.duration = seconds
      this.buffer = media.addSourceBuffer(mime)
      this.buffer.mode = 'segments'
      this.mime = mime
      return { buffer: this.buffer, changed: true }
    }
    const buffer = this.buffer
    await settled(buffer)
    if (this.buffer !== buffer) return null
    const changed = this.mime !== mime
    if (changed) buffer.changeType(mime)
    this.mime = mime
    return { buffer, changed }
  }

  /** The first moment at or behind `time`, by at most `slack`, of which there is a picture; in seconds. */
  has(time: number, slack = 0): number | null {
    const ranges = this.video.buffered
    for (let i = 0; i < ranges.length; i += 1) {
      if (time >= ranges.start(i) - slack && time < ranges.end(i)) return Math.max(time, ranges.start(i))
    }
    return null
  }
}

function settled(buffer: SourceBuffer): Promise<void> {
  if (!buffer.updating) return Promise.resolve()
  return new Promise((done) => buffer.addEventListener('updateend', () => done(), { once: true }))
}

/** Appends `data`; rejects with what the browser says against it. */
export async function put(buffer: SourceBuffer, data: ArrayBuffer): Promise<void> {
  const over = new AbortController()
  try {
    await new Promise<void>((done, fail) => {
      buffer.addEventListener('error', () => fail(new Error('append')), { signal: over.signal })
      buffer.addEventListener('updateend', () => done(), { signal: over.signal })
      buffer.appendBuffer(data)
    })
  } finally {
    over.abort()
  }
}
