import { computed, onMounted, onUnmounted, ref, type Ref } from 'vue'

/** Hidden for so long before it counts: a glance at another tab must not cut every stream. */
const HIDDEN_MS = 5000

/** True while `element` is near the viewport and the page is visible. */
export function useOnScreen(element: Readonly<Ref<HTMLElement | null>>): Readonly<Ref<boolean>> {
  const near = ref(false)
  const visible = ref(!document.hidden)
  let timer: ReturnType<typeof setTimeout> | undefined
  const observer = new IntersectionObserver(
    (entries) => {
      near.value = entries.at(-1)?.isIntersecting ?? false
    },
    { rootMargin: '120px 0px' },
  )
  const visibility = (): void => {
    clearTimeout(timer)
    if (document.hidden)
      timer = setTimeout(() => {
        visible.value = false
      }, HIDDEN_MS)
    else visible.value = true
  }
  onMounted(() => {
    if (element.value) observer.observe(element.value)
    document.addEventListener('visibilitychange', visibility)
  })
  onUnmounted(() => {
    clearTimeout(timer)
    observer.disconnect()
    document.removeEventListener('visibilitychange', visibility)
  })
  return computed(() => near.value && visible.value)
}
