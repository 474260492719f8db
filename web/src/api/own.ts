/** Signing in step by step, and the calls of the own account. A 401 here is about a code, not the session. */
import { client, patience, result } from './client'
import type { Session } from './types'
import type { components } from './schema'

type Schemas = components['schemas']

export type OwnAccount = Schemas['OwnAccountOut']
export type OwnSession = Schemas['OwnSessionOut']
export type Passkey = Schemas['PasskeyOut']
export type TotpBegun = Schemas['TotpBegun']
export type SecondStep = Schemas['SecondStepOut']
export type Method = SecondStep['methods'][number]

/** A passkey waits for a person who looks for a key or a finger. */
const PASSKEY_MS = 30_000

export const signingIn = {
  password: (username: string, password: string): Promise<Session | SecondStep> =>
    result(client.POST('/api/v1/sessions', { body: { username, password }, signal: patience() }), true),
  secondStep: (body: { challenge: string; method: Method; code?: string; credential?: Record<string, unknown> }) =>
    result(
      client.POST('/api/v1/sessions/second-factor', { body: { code: '', ...body }, signal: patience(PASSKEY_MS) }),
      true,
    ),
  passkeyOptions: () => result(client.POST('/api/v1/sessions/passkey/options', { signal: patience() }), true),
  passkey: (challenge: string, credential: Record<string, unknown>) =>
    result(
      client.POST('/api/v1/sessions/passkey', { body: { challenge, credential }, signal: patience(PASSKEY_MS) }),
      true,
    ),
  provider: () => result(client.GET('/api/v1/sessions/oidc', { signal: patience() }), true),
  providerUrl: '/api/v1/sessions/oidc/start',
}

const proof = (password: string) => ({ body: { password }, signal: patience() })

export const own = {
  get: () => result(client.GET('/api/v1/accounts/me', { signal: patience() })),
  password: (current: string, next: string) =>
    result(client.PUT('/api/v1/accounts/me/password', { body: { current, new: next }, signal: patience() })),
  beginTotp: (password: string) => result(client.POST('/api/v1/accounts/me/totp', proof(password))),
  confirmTotp: (code: string) =>
    result(client.POST('/api/v1/accounts/me/totp/confirm', { body: { code }, signal: patience() })),
  removeTotp: (password: string) => result(client.DELETE('/api/v1/accounts/me/totp', proof(password))),
  renewCodes: (password: string) => result(client.POST('/api/v1/accounts/me/recovery-codes', proof(password))),
  passkeyOptions: (password: string) => result(client.POST('/api/v1/accounts/me/passkeys/options', proof(password))),
  addPasskey: (challenge: string, credential: Record<string, unknown>, name: string) =>
    result(
      client.POST('/api/v1/accounts/me/passkeys', {
        body: { challenge, credential, name },
        signal: patience(PASSKEY_MS),
      }),
      true,
    ),
  renamePasskey: (passkey_id: string, name: string) =>
    result(
      client.PATCH('/api/v1/accounts/me/passkeys/{passkey_id}', {
        params: { path: { passkey_id } },
        body: { name },
        signal: patience(),
      }),
    ),
  removePasskey: (passkey_id: string, password: string) =>
    result(
      client.DELETE('/api/v1/accounts/me/passkeys/{passkey_id}', {
        params: { path: { passkey_id } },
        ...proof(password),
      }),
    ),
  linkIdentity: (password: string) => result(client.POST('/api/v1/accounts/me/oidc', proof(password))),
  unlinkIdentity: (password: string) => result(client.DELETE('/api/v1/accounts/me/oidc', proof(password))),
  sessions: () => result(client.GET('/api/v1/sessions', { signal: patience() })),
  endSession: (session_id: string) =>
    result(
      client.DELETE('/api/v1/sessions/{session_id}', { params: { path: { session_id } }, signal: patience() }),
    ),
  endOtherSessions: () => result(client.DELETE('/api/v1/sessions', { signal: patience() })),
}

/** What an administrator does to the account of somebody else. */
export const resets = {
  sessions: (account_id: string) =>
    result(
      client.DELETE('/api/v1/accounts/{account_id}/sessions', { params: { path: { account_id } }, signal: patience() }),
    ),
  factors: (account_id: string) =>
    result(
      client.DELETE('/api/v1/accounts/{account_id}/second-factors', {
        params: { path: { account_id } },
        signal: patience(),
      }),
    ),
}
