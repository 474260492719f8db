import { describe, expect, it } from 'vitest'
import { pickLanguage } from '@/i18n'
import { ago, duration } from '@/lib/time'

describe('pickLanguage', () => {
  it('prefers what the person chose', () => {
    expect(pickLanguage('en', ['zh-CN'])).toBe('en')
  })
  it('else takes the browser’s first known language', () => {
    expect(pickLanguage(null, ['de', 'zh-Hans-CN', 'en'])).toBe('zh-CN')
    expect(pickLanguage('xx', ['en-GB'])).toBe('en')
    expect(pickLanguage(null, [])).toBe('en')
  })
})

describe('times', () => {
  const at = '2026-11-22T08:00:00Z'
  const start = Date.parse(at)
  it('are told in the person’s language', () => {
    expect(ago(at, start + 12_000, 'en')).toBe('12 seconds ago')
    expect(ago(at, start + 3 * 60_000, 'zh-CN')).toBe('3分钟前')
    expect(ago(at, start - 5000, 'en')).toBe('now')
  })
  it('run as clocks', () => {
    expect(duration(65_000)).toBe('1:05')
    expect(duration(3_725_000)).toBe('1:02:05')
  })
})
