import { describe, expect, it } from 'vitest'
import type { Area } from '@/api/setup'
import { nameOf, shown, treeOf } from '@/lib/areaTree'
import { mailAddress, robotAddress } from '@/lib/gatewayAddress'
import { idFor, merged, moved, readTarget, spanText, wholePolicy, writeTarget } from '@/lib/policies'
import { gaps, gapsByHours, grouped, overnight, pieces, ungrouped, type Shift } from '@/lib/rota'

const shift = (weekday: number, starts: string, ends: string, account_id = 'a'): Shift => ({ weekday, starts, ends, account_id })
const area = (path: string, name: string): Area => ({
  path,
  name,
  level: 'county',
  parent: '',
  depth: path.split('/').length,
  created_at: '',
})

describe('a week of duty', () => {
  it('goes over midnight, and from Sunday to Monday', () => {
    expect(overnight(shift(0, '20:00', '08:00'))).toBe(true)
    const own = pieces([shift(6, '20:00', '08:00')])
    expect(own.map(({ day, from, to, continued }) => [day, from, to, continued])).toEqual([
      [0, 0, 480, true],
      [6, 1200, 1440, false],
    ])
  })

  it('is a whole day where both times are the same', () => {
    const own = [0, 1, 2, 3, 4, 5, 6].map((day) => shift(day, '09:00', '09:00'))
    expect(gaps(own)).toEqual([])
  })

  it('has gaps where nobody is, and not where somebody else steps in', () => {
    const week = [0, 1, 2, 3, 4, 5, 6].flatMap((day) => [shift(day, '08:00', '20:00'), shift(day, '20:00', '06:00', 'b')])
    expect(gapsByHours(week)).toEqual([{ from: 360, to: 480, days: [0, 1, 2, 3, 4, 5, 6] }])
    expect(gapsByHours([...week, shift(2, '05:00', '09:00', 'c')])[0]?.days).toEqual([0, 1, 3, 4, 5, 6])
  })

  it('puts those who are there at the same time side by side', () => {
    const own = pieces([shift(0, '08:00', '12:00'), shift(0, '10:00', '14:00', 'b'), shift(0, '14:00', '16:00', 'c')])
    expect(own.map(({ lane, lanes }) => [lane, lanes])).toEqual([
      [0, 2],
      [1, 2],
      [0, 1],
    ])
  })

  it('is edited by person and hours, and comes back as it was', () => {
    const week = [shift(4, '08:00', '16:00'), shift(0, '08:00', '16:00'), shift(1, '16:00', '22:00')]
    expect(grouped(week)).toHaveLength(2)
    expect(grouped(week)[0]?.days).toEqual([0, 4])
    expect(new Set(ungrouped(grouped(week)).map((item) => JSON.stringify(Object.entries(item).sort())))).toEqual(
      new Set(week.map((item) => JSON.stringify(Object.entries(item).sort()))),
    )
  })
})

describe('policies', () => {
  it('reads and writes who is told', () => {
    for (const target of ['duty', 'supervisor+2', 'contacts', 'room:Night shift'])
      expect(writeTarget(readTarget(target))).toBe(target)
  })

  it('tells levels together', () => {
    expect(merged(['duty', 'supervisor', 'duty+1', 'duty+2', 'supervisor+3'])).toMatchObject([
      { word: 'duty', from: 0, above: 2 },
      { word: 'supervisor', from: 0, above: 0 },
      { word: 'supervisor', from: 3, above: 3 },
    ])
    expect(merged(['room:a', 'room:b'])).toHaveLength(2)
  })

  it('tells lengths of time in the largest whole unit', () => {
    expect(spanText(90, 'en')).toBe('90 seconds')
    expect(spanText(150, 'en')).toBe('2 minutes 30 seconds')
    expect(spanText(7200, 'en')).toBe('2 hours')
    expect(spanText(0, 'en')).toBe('0 seconds')
  })

  it('keeps what a policy says and fills in the rest', () => {
    const whole = wholePolicy({ id: 'x', repeat_s: 60, limits: { triage_s: 5 } as never })
    expect([whole.repeat_s, whole.limits.triage_s, whole.limits.handle_s, whole.steps.length]).toEqual([60, 5, 3600, 1])
  })

  it('moves within the list only', () => {
    expect(moved(['a', 'b', 'c'], 1, -1)).toEqual(['b', 'a', 'c'])
    expect(moved(['a', 'b'], 0, -1)).toEqual(['a', 'b'])
    expect(moved(['a', 'b'], 1, 1)).toEqual(['a', 'b'])
  })

  it('makes an id that is free and a word in Latin letters', () => {
    expect(idFor('Night fires!', [])).toBe('night-fires')
    expect(idFor('夜间火警', ['policy'])).toBe('policy-2')
  })
})

describe('areas', () => {
  const list = [area('a/c', 'Cell 10'), area('a', 'County'), area('a/b', 'Cell 9'), area('x/y', 'Alone')]

  it('are a tree by name, with numbers in their order', () => {
    const tree = treeOf(list, 'en')
    expect(tree.map((node) => node.area.name)).toEqual(['Alone', 'County'])
    expect(shown(tree, new Set(['a'])).map((node) => node.area.name)).toEqual(['Alone', 'County', 'Cell 9', 'Cell 10'])
    expect(shown(tree, new Set())).toHaveLength(2)
  })

  it('are named as far as they are known', () => {
    expect(nameOf('a/b', list)).toBe('County › Cell 9')
    expect(nameOf('x/y', list)).toBe('Alone')
    expect(nameOf('q/r/s', list)).toBe('r › s')
  })
})

describe('addresses of gateways', () => {
  it('carry what a person entered, whatever it holds', () => {
    const url = mailAddress({
      server: 'mail.example.org',
      port: '',
      security: 'starttls',
      user: 'li@example.org',
      password: 'a/b@c?d',
      from: 'alarm@example.org',
    })
    expect(url).toBe(
      'mailtos://li%40example.org:a%2Fb%40c%3Fd@mail.example.org:587?smtp=mail.example.org&from=alarm%40example.org&mode=starttls',
    )
  })

  it('take the key out of what a chat program shows', () => {
    expect(robotAddress('wecom', 'https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=69-3a', '')).toBe('wecombot://69-3a')
    expect(robotAddress('dingtalk', 'https://oapi.dingtalk.com/robot/send?access_token=abc', 'SEC1')).toBe('dingtalk://SEC1@abc')
    expect(robotAddress('feishu', 'https://open.feishu.cn/open-apis/bot/v2/hook/a-b-c', '')).toBe('feishu://a-b-c')
  })
})
