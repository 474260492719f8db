/** What a person enters for a gateway, as the address that the hub keeps (in the way of Apprise). */

export type MailSecurity = 'starttls' | 'ssl' | 'insecure'

export interface MailServer {
  server: string
  port: string
  security: MailSecurity
  user: string
  password: string
  from: string
}

export const usualPort: Record<MailSecurity, string> = { starttls: '587', ssl: '465', insecure: '25' }

/** `mailtos://user:password@server:587?from=…&mode=starttls` */
export function mailAddress({ server, port, security, user, password, from }: MailServer): string {
  const part = encodeURIComponent
  const who = user.trim() ? `${part(user.trim())}:${part(password)}@` : ''
  const scheme = security === 'insecure' ? 'mailto' : 'mailtos'
  const query = new URLSearchParams({ smtp: server.trim(), from: from.trim(), mode: security })
  return `${scheme}://${who}${server.trim()}:${port.trim() || usualPort[security]}?${query}`
}

const robotScheme = { wecom: 'wecombot', dingtalk: 'dingtalk', feishu: 'feishu' } as const
export type RobotChannel = keyof typeof robotScheme

/**
 * The address of a chat room's robot. `key` is its key or token, or the whole address that the
 * chat program shows, of which only the key counts. `secret`: DingTalk's signing secret.
 */
export function robotAddress(channel: RobotChannel, key: string, secret: string): string {
  const shown = key.trim()
  const own = /(?:[?&](?:key|access_token)=|\/hook\/)([\w-]+)/.exec(shown)?.[1] ?? shown
  const signed = channel === 'dingtalk' && secret.trim() ? `${encodeURIComponent(secret.trim())}@` : ''
  return `${robotScheme[channel]}://${signed}${encodeURIComponent(own)}`
}
