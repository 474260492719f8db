import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { createI18n } from 'vue-i18n'

const en = JSON.parse(readFileSync(new URL('../src/i18n/en.json', import.meta.url), 'utf8')) as Record<string, object>
const i18n = createI18n<false>({ legacy: false, locale: 'en', messages: { en } as never })
const t = i18n.global.t as unknown as (key: string, named: Record<string, unknown>) => string

describe('English of one and of many', () => {
  it.each([
    ['viewings.lasted.seconds', '1 second', '3 seconds'],
    ['areas.below', '1 area below it', '3 areas below it'],
    ['storage.days', '1 day', '3 days'],
    ['viewings.exports', 'Pictures of them were handed out once.', 'Pictures of them were handed out 3 times.'],
  ])('%s', (key, one, many) => {
    expect(t(key, { n: 1 })).toBe(one)
    expect(t(key, { n: 3 })).toBe(many)
    expect(t(key, { n: 0 })).toBe(many.replace('3', '0'))
  })
})
