import { useI18n } from 'vue-i18n'
import type { LedgerEntry } from '@/api/types'
import { cameraById } from '@/state/cameras'

/** What the hub writes into its ledger; kinds that this list lacks are shown by their name. */
export const ledgerKinds = [
  'view.opened',
  'view.closed',
  'grant.given',
  'grant.withdrawn',
  'alarm.opened',
  'alarm.answered',
  'alarm.ended',
  'household.created',
  'household.member_added',
  'household.member_removed',
  'household.closed',
  'account.created',
  'account.changed',
  'account.granted',
  'account.deactivated',
  'account.activated',
  'account.password_set',
  'account.password_changed',
  'account.totp_added',
  'account.totp_removed',
  'account.passkey_added',
  'account.passkey_removed',
  'account.recovery_renewed',
  'account.factors_reset',
  'account.identity_linked',
  'account.identity_removed',
  'session.opened',
  'session.ended',
  'token.issued',
  'token.revoked',
  'camera.created',
  'camera.changed',
  'camera.deleted',
  'camera.masked',
  'camera.zones_changed',
  'camera.address_changed',
  'camera.configured',
  'camera.searched',
  'export.requested',
  'export.prepared',
  'export.previewed',
  'export.approved',
  'export.refused',
  'export.withdrawn',
  'export.changed',
  'export.downloaded',
  'seal.requested',
  'seal.approved',
  'seal.lifted',
  'seal.expired',
  'policy.changed',
  'law.changed',
  'hub.started',
  'hub.stopped',
  'ledger.key',
  'ledger.loss',
] as const

/** A key of the texts has no dot inside. */
export function kindKey(kind: string): string {
  return kind.replace('.', '_')
}

/** One sentence for an entry: who did what. */
export function useLedgerText(): (entry: LedgerEntry) => string {
  const { t, te } = useI18n()
  return (entry) => {
    const who = entry.actor?.display_name ?? t(entry.actor_kind === 'service' ? 'actor.service' : 'actor.system')
    const key = `ledger.kind.${kindKey(entry.kind)}`
    const what = te(key) ? t(key) : entry.kind
    const { purpose, reference, kind, seconds, sound } = entry.data
    const parts = [t('ledger.sentence', { who, what })]
    const camera = cameraById(entry.subject)
    if (camera) parts.push(camera.name)
    if (entry.kind === 'view.opened' && typeof kind === 'string') {
      const seen = te(`viewKind.${kind}`) ? t(`viewKind.${kind}`) : kind
      parts.push(sound === true ? t('viewings.heardToo', { seen }) : seen)
    }
    if (entry.kind.startsWith('camera.')) return parts.join(' · ')
    if (typeof purpose === 'string' && purpose) parts.push(te(`purpose.of.${purpose}`) ? t(`purpose.of.${purpose}`) : purpose)
    if (typeof reference === 'string' && reference) parts.push(reference)
    if (typeof seconds === 'number') parts.push(t('ledger.seconds', { n: Math.round(seconds) }))
    return parts.join(' · ')
  }
}
