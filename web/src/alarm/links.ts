/** Links that open the phone's own messages and telephone, filled in. */

/** Digits and a leading plus; what else stands in a number is for the eye. */
export function dialled(number: string): string {
  return number.replace(/(?!^\+)[^\d]/g, '')
}

export function callLink(number: string): string {
  return `tel:${dialled(number)}`
}

/** iOS wants the text after an ampersand, everybody else after a question mark (RFC 5724). */
export function messageLink(number: string, text: string, agent = navigator.userAgent): string {
  const mark = /iPhone|iPad|iPod/.test(agent) ? '&' : '?'
  return `sms:${dialled(number)}${mark}body=${encodeURIComponent(text)}`
}
