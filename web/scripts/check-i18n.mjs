// Every text exists in every language with the same placeholders, every key the
// source names exists, and no key is left that nobody names.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = new URL('..', import.meta.url).pathname
const languages = ['en', 'zh-CN']
const problems = []

function flatten(value, prefix = '') {
  return Object.entries(value).flatMap(([key, inner]) =>
    typeof inner === 'string' ? [[prefix + key, inner]] : flatten(inner, `${prefix}${key}.`),
  )
}

const tables = new Map(
  languages.map((language) => [
    language,
    new Map(flatten(JSON.parse(readFileSync(join(root, `src/i18n/${language}.json`), 'utf8')))),
  ]),
)
const placeholders = (text) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort().join()
const reference = tables.get('en')
for (const [language, table] of tables) {
  for (const [key, text] of reference) {
    if (!table.has(key)) problems.push(`${language}: ${key} is missing`)
    else if (placeholders(table.get(key)) !== placeholders(text))
      problems.push(`${language}: ${key} has other placeholders than en`)
  }
  for (const [key, text] of table) {
    if (!reference.has(key)) problems.push(`${language}: ${key} is not in en`)
    if (text.trim() === '') problems.push(`${language}: ${key} is empty`)
  }
}

const source = readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && /\.(ts|vue)$/.test(entry.name) && !entry.name.endsWith('.d.ts'))
  .map((entry) => readFileSync(join(entry.parentPath ?? entry.path, entry.name), 'utf8'))
  .join('\n')
const named = new Set()
const prefixes = new Set()
for (const match of source.matchAll(/\b(?:t|te|key)\(\s*(['"`])([^'"`]+)\1/g)) {
  const hole = match[2].indexOf('${')
  if (hole === -1) named.add(match[2])
  else prefixes.add(match[2].slice(0, hole))
}
for (const match of source.matchAll(/keypath="([^"]+)"/g)) named.add(match[1])
for (const key of named) if (!reference.has(key)) problems.push(`the source names ${key}, which no language has`)
for (const key of reference.keys())
  if (!named.has(key) && ![...prefixes].some((prefix) => key.startsWith(prefix)))
    problems.push(`${key} is in no use`)

if (problems.length > 0) {
  console.error(problems.join('\n'))
  process.exit(1)
}
console.log(`i18n: ${reference.size} texts in ${languages.length} languages`)
