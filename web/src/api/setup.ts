/** Calls for setting a site up: areas, duty, dispatch policies, gateways, webhooks, devices, contacts (docs/design/closed-loop.md). */
import { accounts } from './calls'
import { client, patience, result } from './client'
import type { AccountBrief } from './types'
import type { components } from './schema'

type Schemas = components['schemas']

/** A test of a gateway waits for the provider. */
const PROVIDER_MS = 40_000

const at = <P extends object>(path: P, wait?: number) => ({ params: { path }, signal: patience(wait) })
const put = <P extends object, B extends object>(path: P, body: B, wait?: number) => ({ ...at(path, wait), body })
const send = <B extends object>(body: B) => ({ body, signal: patience() })

/* Areas and departments. */

export type Area = Schemas['AreaOut']
export type AreaLevel = Area['level']
/** What keeps an area open: a further member of the answer `area-in-use`. */
export interface AreaUse {
  kind: string
  count: number
  names: string[]
}
export type Department = Schemas['DepartmentOut']
export type Person = AccountBrief

/** An area's path keeps its slashes in an address. */
const place = <P extends object>(init: P) => ({
  ...init,
  pathSerializer: (pathname: string, { area }: Record<string, unknown>) =>
    pathname.replace('{area}', String(area).split('/').map(encodeURIComponent).join('/')),
})

export const areas = {
  list: () => result(client.GET('/api/v1/areas', { signal: patience() })).then(({ items }) => items),
  add: (body: Schemas['AreaCreate']) => result(client.POST('/api/v1/areas', send(body))),
  rename: (area: string, name: string) => result(client.PATCH('/api/v1/areas/{area}', place(put({ area }, { name })))),
  close: (area: string) => result(client.DELETE('/api/v1/areas/{area}', place(at({ area })))),
}

export const departments = {
  list: () => result(client.GET('/api/v1/departments', { signal: patience() })).then(({ items }) => items),
  add: (name: string, area: string) => result(client.POST('/api/v1/departments', send({ name, area }))),
  rename: (department_id: string, name: string) =>
    result(client.PATCH('/api/v1/departments/{department_id}', put({ department_id }, { name }))),
  members: (department_id: string, account_ids: string[]) =>
    result(client.PUT('/api/v1/departments/{department_id}/members', put({ department_id }, { account_ids }))),
  close: (department_id: string) => result(client.DELETE('/api/v1/departments/{department_id}', at({ department_id }))),
}

/** Everybody who holds `role`, of all accounts that the signed-in person may list. */
export async function people(role: string): Promise<Person[]> {
  const found: Person[] = []
  let cursor: string | null | undefined
  do {
    const page = await accounts.list(cursor)
    found.push(...page.items.filter(({ active, roles }) => active && roles.some((binding) => binding.role === role)))
    cursor = page.next_cursor
  } while (cursor)
  return found
}

/* Duty. */

export type Rota = Schemas['RotaOut']
export type Post = Rota['post']
export const posts = ['duty_staff', 'patrol', 'supervisor', 'department'] as const satisfies Post[]
export type DutyPerson = Rota['candidates'][number]
export type Override = Schemas['OverrideOut']
export type HandOver = Schemas['HandOverOut']
export type DutyNow = Schemas['DutyNow']

export const duty = {
  now: (area: string) => result(client.GET('/api/v1/duty', { params: { query: { area } }, signal: patience() })),
}

export const rotas = {
  list: () => result(client.GET('/api/v1/rotas', { signal: patience() })).then(({ items }) => items),
  add: (body: Schemas['RotaCreate']) => result(client.POST('/api/v1/rotas', send(body))),
  rename: (rota_id: string, name: string) => result(client.PATCH('/api/v1/rotas/{rota_id}', put({ rota_id }, { name }))),
  close: (rota_id: string) => result(client.DELETE('/api/v1/rotas/{rota_id}', at({ rota_id }))),
  slots: (rota_id: string, slots: Schemas['SlotIn'][]) =>
    result(client.PUT('/api/v1/rotas/{rota_id}/slots', put({ rota_id }, { slots }))),
  override: (rota_id: string, body: Schemas['OverrideIn']) =>
    result(client.POST('/api/v1/rotas/{rota_id}/overrides', put({ rota_id }, body))),
  dropOverride: (rota_id: string, override_id: string) =>
    result(client.DELETE('/api/v1/rotas/{rota_id}/overrides/{override_id}', at({ rota_id, override_id }))),
}

export const handOvers = {
  offer: (rota_id: string, body: Schemas['HandOverCreate']) =>
    result(client.POST('/api/v1/rotas/{rota_id}/hand-overs', put({ rota_id }, body))),
  step: (hand_over_id: string, step: 'give' | 'take') =>
    result(
      step === 'give'
        ? client.POST('/api/v1/hand-overs/{hand_over_id}/give', at({ hand_over_id }))
        : client.POST('/api/v1/hand-overs/{hand_over_id}/take', at({ hand_over_id })),
    ),
  refuse: (hand_over_id: string, reason: string) =>
    result(client.POST('/api/v1/hand-overs/{hand_over_id}/refuse', put({ hand_over_id }, { reason }))),
}

/* Dispatch policies. */

export type PolicyFault = Schemas['PolicyFault']
export type PolicySet = Schemas['PoliciesOut']
/** A set that is not saved yet: as YAML or as it is in the form. */
export type PoliciesDraft = { text: string } | { policies: object[] }
export type Forecast = Schemas['ForecastOut']
export type ForecastStep = Schemas['ForecastStep']

export const policies = {
  get: () => result(client.GET('/api/v1/dispatch-policies', { signal: patience() })),
  check: (draft: PoliciesDraft) =>
    result(client.POST('/api/v1/dispatch-policies/check', send(draft as Schemas['PoliciesCheck']))),
  write: (version: number, draft: PoliciesDraft) =>
    result(client.PUT('/api/v1/dispatch-policies', send({ version, ...(draft as Schemas['PoliciesCheck']) }))),
  forecast: (body: Omit<Schemas['ForecastRequest'], 'policies' | 'status'>, draft: PoliciesDraft | null) =>
    result(
      client.POST(
        '/api/v1/dispatch-policies/forecast',
        send({ ...body, status: 'actual' as const, policies: draft as Schemas['PoliciesCheck'] | null }),
      ),
    ),
}

/* Gateways and webhooks. */

export type GatewayBody = Omit<Schemas['GatewayCreate'], 'active'>
export type GatewayChannel = GatewayBody['channel']
export type Gateway = Omit<Schemas['GatewayOut'], 'channel' | 'kind'> & Pick<GatewayBody, 'channel' | 'kind'>

export const gateways = {
  list: () => result(client.GET('/api/v1/gateways', { signal: patience() })) as Promise<Gateway[]>,
  add: (body: GatewayBody) => result(client.POST('/api/v1/gateways', send({ ...body, active: true }))),
  change: (gateway_id: string, body: Schemas['GatewayChange']) =>
    result(client.PATCH('/api/v1/gateways/{gateway_id}', put({ gateway_id }, body))),
  test: (gateway_id: string, to: string) =>
    result(client.POST('/api/v1/gateways/{gateway_id}/test', put({ gateway_id }, { to }, PROVIDER_MS))),
  remove: (gateway_id: string) => result(client.DELETE('/api/v1/gateways/{gateway_id}', at({ gateway_id }))),
}

export type Webhook = Schemas['WebhookOut']
export type WebhookIssued = Schemas['WebhookIssued']

export const webhooks = {
  list: () => result(client.GET('/api/v1/webhooks', { signal: patience() })),
  add: (body: Schemas['WebhookCreate']) => result(client.POST('/api/v1/webhooks', send(body))),
  change: (webhook_id: string, body: Schemas['WebhookUpdate']) =>
    result(client.PATCH('/api/v1/webhooks/{webhook_id}', put({ webhook_id }, body))),
  renew: (webhook_id: string) => result(client.POST('/api/v1/webhooks/{webhook_id}/secret', at({ webhook_id }))),
  test: (webhook_id: string) => result(client.POST('/api/v1/webhooks/{webhook_id}/test', at({ webhook_id }, PROVIDER_MS))),
  remove: (webhook_id: string) => result(client.DELETE('/api/v1/webhooks/{webhook_id}', at({ webhook_id }))),
}

/* What presses a household's alarm. */

export type AlarmDevice = Schemas['DeviceIssued']['device']
export type DeviceKind = AlarmDevice['kind']
export type DeviceIssued = Schemas['DeviceIssued']
export type PairingCode = Schemas['PairingCodeOut']

export const alarmDevices = {
  list: (cursor?: string | null) =>
    result(client.GET('/api/v1/alarm-devices', { params: { query: { limit: 200, cursor } }, signal: patience() })),
}

/** Takes out a device that is lost: an administrator, who cannot let one in. */
export const removeDevice = (device_id: string) =>
  result(client.DELETE('/api/v1/alarm-devices/{device_id}', at({ device_id })))

export const householdDevices = {
  list: (household_id: string) =>
    result(client.GET('/api/v1/households/{household_id}/alarm-devices', at({ household_id }))),
  add: (household_id: string, body: Schemas['DeviceCreate']) =>
    result(client.POST('/api/v1/households/{household_id}/alarm-devices', put({ household_id }, body))),
  pairingCode: (household_id: string, kind: DeviceKind) =>
    result(client.POST('/api/v1/households/{household_id}/pairing-codes', put({ household_id }, { kind }))),
  remove: (household_id: string, device_id: string) =>
    result(client.DELETE('/api/v1/households/{household_id}/alarm-devices/{device_id}', at({ household_id, device_id }))),
}

/* Whom a household wants to be told of its alarms. */

export type Contact = Schemas['ContactOut']
export type ConsentPage = Schemas['ConsentPageOut']

export const contacts = {
  list: (household_id: string) => result(client.GET('/api/v1/households/{household_id}/contacts', at({ household_id }))),
  add: (household_id: string, body: Schemas['ContactCreate']) =>
    result(client.POST('/api/v1/households/{household_id}/contacts', put({ household_id }, body))),
  remove: (household_id: string, contact_id: string) =>
    result(client.DELETE('/api/v1/households/{household_id}/contacts/{contact_id}', at({ household_id, contact_id }))),
}

/** By the link of a message, without signing in. */
export const consents = {
  get: (token: string) => result(client.GET('/api/v1/contact-consents/{token}', at({ token })), true),
  give: (token: string, agree: boolean) =>
    result(client.POST('/api/v1/contact-consents/{token}', put({ token }, { agree })), true),
}
