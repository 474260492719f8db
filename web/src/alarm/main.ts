/** Where /alarm and /tv begin: a program of its own beside the console, small enough for an old phone. */
import './alarm.css'
import { createApp } from 'vue'
import { remembered } from '@/lib/remember'
import { watchInstall } from './install'
import { startWords } from './words'

const pages = {
  alarm: () => import('@/pages/AlarmPage.vue'),
  tv: () => import('@/pages/TvPage.vue'),
}

function startTheme(): void {
  const system = matchMedia('(prefers-color-scheme: dark)')
  const apply = (): void => {
    const chosen = remembered('theme')
    document.documentElement.classList.toggle('dark', chosen === 'dark' || (chosen !== 'light' && system.matches))
  }
  apply()
  // Older browsers know only the handler.
  system.onchange = apply
}

startWords()
startTheme()
watchInstall()
const page = location.pathname.startsWith('/tv') ? pages.tv : pages.alarm
void page().then(({ default: found }) => createApp(found).mount('#app'))
