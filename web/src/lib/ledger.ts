import { useI18n } from 'vue-i18n'
import type { LedgerEntry } from '@/api/types'
import { language } from '@/i18n'
import { spanText } from './policies'
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
  'contact.named',
  'contact.agreed',
  'contact.withdrawn',
  'contact.removed',
  'device.invited',
  'device.paired',
  'device.removed',
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
  'account.point_verified',
  'account.point_removed',
  'account.push_added',
  'account.push_removed',
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
  'recording.locked',
  'recording.lock_extended',
  'recording.lock_expired',
  'recording.unlocked',
  'recording.deleted',
  'export.requested',
  'export.prepared',
  'export.previewed',
  'export.approved',
  'export.refused',
  'export.withdrawn',
  'export.changed',
  'export.downloaded',
  'export.ready',
  'export.failed',
  'export.expired',
  'seal.requested',
  'seal.approved',
  'seal.lifted',
  'seal.expired',
  'area.added',
  'area.changed',
  'area.closed',
  'department.created',
  'department.changed',
  'department.closed',
  'department.members_changed',
  'duty.rota_created',
  'duty.rota_changed',
  'duty.rota_closed',
  'duty.slots_changed',
  'duty.overridden',
  'duty.override_removed',
  'duty.handed_over',
  'duty.hand_over_refused',
  'dispatch.policies_changed',
  'gateway.created',
  'gateway.changed',
  'gateway.removed',
  'webhook.created',
  'webhook.changed',
  'webhook.paused',
  'webhook.removed',
  'webhook.secret_renewed',
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
    if (typeof reference === 'string' && reference) parts.push(te(`reference.${reference}`) ? t(`reference.${reference}`) : reference)
    if (typeof seconds === 'number') parts.push(spanText(Math.round(seconds), language.value))
    return parts.join(' · ')
  }
}
