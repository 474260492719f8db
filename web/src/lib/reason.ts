import { useI18n } from 'vue-i18n'

/** Why a camera is in its state, in the person's language where the code is known. */
export function useReason(): (status: { reason_code: string; reason: string }) => string {
  const { t, te } = useI18n()
  return (status) => {
    const key = `reason.${status.reason_code}`
    return te(key) ? t(key) : status.reason
  }
}
