const names: Record<string, string> = { h264: 'H.264', avc: 'H.264', hevc: 'H.265', h265: 'H.265', mpeg4: 'MPEG-4', mjpeg: 'MJPEG', av1: 'AV1' }

/** A video format as people write it. */
export function codecName(codec: string): string {
  return names[codec.toLowerCase()] ?? codec
}
