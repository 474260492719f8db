import { ElMessage } from 'element-plus'

/** A short word that something was done. */
export function toastDone(message: string): void {
  ElMessage({ type: 'success', message, grouping: true, duration: 4000 })
}

/** A word that something was not done; stays long enough to be read twice. */
export function toastTrouble(what: string, todo: string): void {
  ElMessage({ type: 'error', message: `${what} ${todo}`, grouping: true, duration: 10_000, showClose: true })
}
