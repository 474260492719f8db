/**
 * Copies the text of `field`, and says whether that worked. On plain http browsers
 * offer no clipboard; the older command and the selection it leaves still serve there.
 */
export async function copyFrom(field: HTMLTextAreaElement): Promise<boolean> {
  field.focus()
  field.select()
  if (isSecureContext) {
    try {
      await navigator.clipboard.writeText(field.value)
      return true
    } catch {
      return false
    }
  }
  return document.execCommand('copy')
}
