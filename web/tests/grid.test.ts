import { describe, expect, it } from 'vitest'
import { columnsFor } from '@/lib/grid'

describe('columnsFor', () => {
  it('fits as many as there is room for', () => {
    expect(columnsFor(30, 1300, 400, 14)).toBe(3)
    expect(columnsFor(30, 330, 400, 14)).toBe(1)
  })
  it('leaves no lonely tile in the last row', () => {
    expect(columnsFor(4, 1300, 400, 14)).toBe(2)
    expect(columnsFor(5, 1300, 400, 14)).toBe(3)
    expect(columnsFor(1, 1300, 400, 14)).toBe(1)
  })
})
