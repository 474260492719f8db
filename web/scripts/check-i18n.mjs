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
const spaces = new Set([...reference.keys()].map((key) => key.split('.')[0]))
const named = new Set()
const prefixes = new Set()
// A literal `space.rest` may name a text, one inside t(…) or after `title:` must.
const literal = /'([a-z]\w*)((?:\.[\w-]+)+)'/gi
for (const match of source.matchAll(literal)) if (spaces.has(match[1])) named.add(match[1] + match[2])
for (const call of source.matchAll(/(?:\bt\(([^()]*)|title: ('[^']+'))/g))
  for (const match of (call[1] ?? call[2]).matchAll(literal))
    if (!reference.has(match[1] + match[2]))
      problems.push(`the source names ${match[1] + match[2]}, which no language has`)
// One with a hole names every text below its start.
for (const match of source.matchAll(/`([a-z]\w*)(\.[^`$]*)\$\{/gi))
  if (spaces.has(match[1])) prefixes.add(match[1] + match[2])
for (const prefix of prefixes)
  if (![...reference.keys()].some((key) => key.startsWith(prefix)))
    problems.push(`the source names ${prefix}…, which no language has`)
for (const key of reference.keys())
  if (!named.has(key) && ![...prefixes].some((prefix) => key.startsWith(prefix)))
    problems.push(`${key} is in no use`)

if (problems.length > 0) {
  console.error(problems.join('\n'))
  process.exit(1)
}
console.log(`i18n: ${reference.size} texts in ${languages.length} languages`)
