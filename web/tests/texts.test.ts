import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { areaText, learnAreas } from '@/lib/area'
import { hostOf } from '@/lib/cameraTable'
import { kindKey, ledgerKinds } from '@/lib/ledger'
import { everyText } from '@/lib/policies'
import { cameWithTheHub } from '@/lib/policyText'

describe('the kinds of the ledger', () => {
  it.each(['en', 'zh-CN'])('have each a text in %s, and every text stands in the choice', (language) => {
    const texts = JSON.parse(readFileSync(new URL(`../src/i18n/${language}.json`, import.meta.url), 'utf8')) as {
      ledger: { kind: Record<string, string> }
    }
    expect(ledgerKinds.map(kindKey).sort()).toEqual(Object.keys(texts.ledger.kind).sort())
  })
})

describe('what stands after "every"', () => {
  it('says no number of one in English', () => {
    expect(everyText(60, 'en')).toBe('minute')
    expect(everyText(14_400, 'en')).toBe('4 hours')
    expect(everyText(660, 'en')).toBe('11 minutes')
    expect(everyText(60, 'zh-CN')).toBe('1分钟')
  })
})

describe('the policies that come with the hub', () => {
  it('are called what their file calls them, so that a changed name is not translated away', () => {
    const file = readFileSync(new URL('../../governance/dispatch/dispatch.yaml', import.meta.url), 'utf8')
    const pairs = [...file.matchAll(/- id: (\w+)\n +name: (.+)/g)].map((match) => [match[1], match[2]])
    expect(Object.fromEntries(pairs)).toEqual(cameWithTheHub)
  })
})

describe('areas for people', () => {
  it('have the names of the tree, and without them their slugs in words', () => {
    expect(areaText('demo/riverside/jade-garden')).toBe('Riverside › Jade garden')
    learnAreas([{ path: 'demo/riverside/jade-garden', name: '翠园' }])
    expect(areaText('demo/riverside/jade-garden')).toBe('Riverside › 翠园')
    learnAreas([])
    expect(areaText('demo/riverside/jade-garden', 1)).toBe('Jade garden')
  })
})

describe('the address of a camera in a list', () => {
  it('is its host and port', () => {
    expect(hostOf('http://192.168.1.64:8000/onvif/device_service')).toBe('192.168.1.64:8000')
    expect(hostOf('rtsp://user@[fe80::1]:554/main')).toBe('[fe80::1]:554')
    expect(hostOf('192.168.1.64')).toBe('192.168.1.64')
  })
})
