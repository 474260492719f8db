/** A share from 0 to 1 as per cent; what is not whole is never told as whole. */
export function shareText(share: number | null, locale: string): string {
  if (share === null) return '–'
  const percent = share * 100
  const rounded = Math.floor(percent * 100) / 100
  return `${new Intl.NumberFormat(locale, { maximumFractionDigits: rounded >= 99 && rounded < 100 ? 2 : 1, roundingMode: 'floor' } as Intl.NumberFormatOptions).format(rounded)} %`
}
