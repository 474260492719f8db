import { useI18n } from 'vue-i18n'
import { asProblem } from '@/api/problem'

/** Said in the console's own words in every language; of other codes the hub's English says more. */
const ownWords = new Set(['invalid-credentials', 'too-many-attempts', 'unauthenticated', 'forbidden'])

/**
 * Gives what happened and what to do, in the person's language where the console
 * knows the code, else in the hub's words.
 */
export function useProblemText(): (error: unknown) => { what: string; todo: string } {
  const { t, te, locale } = useI18n()
  return (error) => {
    const problem = asProblem(error)
    if (locale.value === 'en' && problem.detail && !ownWords.has(problem.code)) {
      return { what: problem.detail, todo: problem.remedy }
    }
    const wait = problem.retryAfter ?? 60
    if (te(`problem.${problem.code}.what`)) {
      return {
        what: t(`problem.${problem.code}.what`),
        todo: t(`problem.${problem.code}.todo`, { seconds: wait }),
      }
    }
    if (problem.detail) return { what: problem.detail, todo: problem.remedy }
    return { what: t('problem.unexpected-answer.what'), todo: t('problem.unexpected-answer.todo') }
  }
}
