/** Photos of what was done, made small enough for a phone's connection. */

const LONG_SIDE = 2560
const SMALL_BYTES = 1_500_000
export const PHOTO_TYPES = 'image/jpeg,image/png,image/webp'
export const PHOTO_MOST_BYTES = 10_000_000

/** `file` as it is sent: a large picture as a JPEG of at most 2560 px, what cannot be read as it is. */
export async function shrunk(file: File): Promise<Blob> {
  if (file.size <= SMALL_BYTES) return file
  const picture = await createImageBitmap(file).catch(() => null)
  if (!picture) return file
  const scale = Math.min(1, LONG_SIDE / Math.max(picture.width, picture.height))
  const canvas = document.createElement('canvas')
  canvas.width = Math.round(picture.width * scale)
  canvas.height = Math.round(picture.height * scale)
  canvas.getContext('2d')?.drawImage(picture, 0, 0, canvas.width, canvas.height)
  picture.close()
  const made = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.85))
  return made && made.size < file.size ? made : file
}
