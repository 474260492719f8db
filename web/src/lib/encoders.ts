/** A camera's encoders: what may be chosen, and what of a form is sent. */
import type { Encoder, EncoderChange } from '@/api/devices'

export interface EncoderForm {
  codec: string
  /** `1920x1080`. */
  size: string
  fps: number | null
  gop: number | null
  bitrate_kbps: number | null
}

export const sizeText = (width: number, height: number): string => `${width}x${height}`

export function encoderForm(encoder: Encoder): EncoderForm {
  const { codec, width, height, fps, gop, bitrate_kbps } = encoder
  return { codec, size: sizeText(width, height), fps, gop, bitrate_kbps }
}

type Options = NonNullable<Encoder['options']>[number]

export function optionsOf(encoder: Encoder, codec: string): Options | undefined {
  return encoder.options?.find((one) => one.codec === codec)
}

/** Codecs to choose from, the present one among them; those that the hub cannot read are left out. */
export function codecsOf(encoder: Encoder): string[] {
  const offered = (encoder.options ?? []).map((one) => one.codec).filter((codec) => codec === 'h264' || codec === 'hevc')
  return [...new Set([encoder.codec, ...offered])]
}

/** Sizes to choose from, largest first, the present one among them while its codec stays. */
export function sizesOf(encoder: Encoder, codec: string): string[] {
  const offered = [...(optionsOf(encoder, codec)?.sizes ?? [])]
  if (codec === encoder.codec && !offered.some(({ width, height }) => width === encoder.width && height === encoder.height))
    offered.push({ width: encoder.width, height: encoder.height })
  offered.sort((a, b) => b.width * b.height - a.width * a.height)
  return [...new Set(offered.map(({ width, height }) => sizeText(width, height)))]
}

/** Rates to choose from, highest first; null when any between two ends may be typed. */
export function ratesOf(encoder: Encoder, codec: string): number[] | null {
  const options = optionsOf(encoder, codec)
  if (!options || options.fps.length === 0 || options.fps_is_range) return null
  const rates = new Set(options.fps)
  if (codec === encoder.codec) rates.add(encoder.fps)
  return [...rates].sort((a, b) => b - a)
}

/** Only what differs; null when nothing does. */
export function encoderChange(form: EncoderForm, encoder: Encoder): EncoderChange | null {
  const before = encoderForm(encoder)
  const change: EncoderChange = {}
  if (form.codec !== before.codec) change.codec = form.codec as EncoderChange['codec']
  if (form.size !== before.size) {
    const [width, height] = form.size.split('x').map(Number)
    Object.assign(change, { width, height })
  }
  if (form.fps !== null && form.fps !== before.fps) change.fps = form.fps
  if (form.gop !== null && form.gop !== before.gop) change.gop = form.gop
  if (form.bitrate_kbps !== null && form.bitrate_kbps !== before.bitrate_kbps) change.bitrate_kbps = form.bitrate_kbps
  return Object.keys(change).length === 0 ? null : change
}

/** Whether this encoder makes the small stream and nothing else. */
export function isSub(encoder: Encoder): boolean {
  return (encoder.roles ?? []).includes('sub') && !(encoder.roles ?? []).includes('main')
}

/** Seconds between two keyframes; null where the camera does not say. */
export function keyframeSeconds(gop: number | null, fps: number | null): number | null {
  return gop && fps ? Math.round((gop / fps) * 10) / 10 : null
}
