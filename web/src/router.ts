import { createRouter, createWebHistory, type RouteRecordRaw } from 'vue-router'
import { setupPages } from '@/lib/setupPages'
import { account, may, must, restore, signedIn } from '@/state/session'

declare module 'vue-router' {
  interface RouteMeta {
    /** Key of the page's title. */
    title: string
    /** Actions of which the account must have one. */
    needs?: readonly string[]
    public?: boolean
    /** Open to everybody, signed in or not, and the same for both. */
    anyone?: boolean
  }
}

const routes: RouteRecordRaw[] = [
  { path: '/', name: 'home', component: () => import('@/pages/NothingPage.vue'), meta: { title: 'title.home' } },
  {
    path: '/sign-in',
    name: 'sign-in',
    component: () => import('@/pages/SignInPage.vue'),
    meta: { title: 'title.signIn', public: true },
  },
  {
    path: '/account',
    name: 'account',
    component: () => import('@/pages/OwnAccountPage.vue'),
    meta: { title: 'title.account' },
  },
  {
    path: '/queue',
    name: 'queue',
    component: () => import('@/pages/QueuePage.vue'),
    meta: { title: 'title.queue', needs: ['incident.list'] },
  },
  {
    path: '/incidents/:id',
    name: 'incident',
    component: () => import('@/pages/IncidentPage.vue'),
    props: true,
    meta: { title: 'title.incident', needs: ['incident.read'] },
  },
  {
    path: '/tasks',
    name: 'tasks',
    component: () => import('@/pages/TasksPage.vue'),
    meta: { title: 'title.tasks', needs: ['incident.progress'] },
  },
  {
    path: '/a/:token',
    name: 'answer',
    component: () => import('@/pages/AnswerPage.vue'),
    props: true,
    meta: { title: 'title.answer', anyone: true },
  },
  {
    path: '/wall/:id?',
    name: 'wall',
    component: () => import('@/pages/WallPage.vue'),
    props: true,
    meta: { title: 'title.wall', needs: ['camera.live'] },
  },
  {
    path: '/playback',
    name: 'playback',
    component: () => import('@/pages/PlaybackPage.vue'),
    meta: { title: 'title.playback', needs: ['recording.play'] },
  },
  {
    path: '/storage',
    name: 'storage',
    component: () => import('@/pages/StoragePage.vue'),
    meta: { title: 'title.storage', needs: ['storage.read'] },
  },
  {
    path: '/storage/locks',
    name: 'locks',
    component: () => import('@/pages/LocksPage.vue'),
    meta: { title: 'title.locks', needs: ['recording.lock'] },
  },
  {
    path: '/cameras',
    name: 'cameras',
    component: () => import('@/pages/CamerasPage.vue'),
    meta: { title: 'title.cameras', needs: ['camera.list'] },
  },
  {
    path: '/cameras/new',
    name: 'camera-new',
    component: () => import('@/pages/CameraNewPage.vue'),
    meta: { title: 'title.cameraNew', needs: ['camera.create'] },
  },
  {
    path: '/cameras/discover',
    name: 'discover',
    component: () => import('@/pages/DiscoverPage.vue'),
    meta: { title: 'title.discover', needs: ['camera.discover'] },
  },
  {
    path: '/cameras/import',
    name: 'camera-import',
    component: () => import('@/pages/ImportPage.vue'),
    meta: { title: 'title.import', needs: ['camera.create'] },
  },
  {
    path: '/map',
    name: 'map',
    component: () => import('@/pages/MapPage.vue'),
    meta: { title: 'title.map', needs: ['camera.list'] },
  },
  {
    path: '/cameras/:id',
    name: 'camera',
    component: () => import('@/pages/CameraPage.vue'),
    props: true,
    meta: { title: 'title.camera', needs: ['camera.read'] },
  },
  {
    path: '/cameras/:id/zones',
    name: 'zones',
    component: () => import('@/pages/ZonesPage.vue'),
    props: true,
    meta: { title: 'title.zones', needs: ['zone.read'] },
  },
  {
    path: '/cameras/:id/masks',
    name: 'masks',
    component: () => import('@/pages/MasksPage.vue'),
    props: true,
    meta: { title: 'title.masks', needs: ['camera.mask'] },
  },
  {
    path: '/home',
    name: 'my-home',
    component: () => import('@/pages/HomePage.vue'),
    meta: { title: 'title.myHome', needs: ['home.read'] },
  },
  {
    path: '/home/viewings',
    name: 'viewings',
    component: () => import('@/pages/ViewingsPage.vue'),
    meta: { title: 'title.viewings', needs: ['viewing.read'] },
  },
  {
    path: '/home/digest/:month',
    name: 'digest',
    component: () => import('@/pages/DigestPage.vue'),
    props: true,
    meta: { title: 'title.digest', needs: ['viewing.read'] },
  },
  {
    path: '/transparency',
    name: 'transparency',
    component: () => import('@/pages/TransparencyPage.vue'),
    meta: { title: 'title.transparency', anyone: true },
  },
  {
    path: '/contact/:token',
    name: 'contact',
    component: () => import('@/pages/ContactConsentPage.vue'),
    props: true,
    meta: { title: 'title.contact', anyone: true },
  },
  {
    path: '/duty',
    name: 'duty',
    component: () => import('@/pages/DutyPage.vue'),
    meta: { title: 'title.duty', needs: ['duty.read'] },
  },
  {
    path: '/setup',
    name: 'setup',
    component: () => import('@/pages/NothingPage.vue'),
    meta: { title: 'title.setup' },
  },
  {
    path: '/areas',
    name: 'areas',
    component: () => import('@/pages/AreasPage.vue'),
    meta: { title: 'title.areas', needs: ['area.list'] },
  },
  {
    path: '/policies',
    name: 'policies',
    component: () => import('@/pages/PoliciesPage.vue'),
    meta: { title: 'title.policies', needs: ['dispatch.read'] },
  },
  {
    path: '/channels',
    name: 'channels',
    component: () => import('@/pages/ChannelsPage.vue'),
    meta: { title: 'title.channels', needs: ['gateway.list', 'webhook.list'] },
  },
  {
    path: '/devices',
    name: 'devices',
    component: () => import('@/pages/DevicesPage.vue'),
    meta: { title: 'title.devices', needs: ['device.list'] },
  },
  {
    path: '/households',
    name: 'households',
    component: () => import('@/pages/HouseholdsPage.vue'),
    meta: { title: 'title.households', needs: ['household.list'] },
  },
  {
    path: '/exports',
    name: 'exports',
    component: () => import('@/pages/ExportsPage.vue'),
    meta: { title: 'title.exports', needs: ['export.list'] },
  },
  {
    path: '/seals',
    name: 'seals',
    component: () => import('@/pages/SealsPage.vue'),
    meta: { title: 'title.seals', needs: ['seal.list'] },
  },
  {
    path: '/ledger',
    name: 'ledger',
    component: () => import('@/pages/LedgerPage.vue'),
    meta: { title: 'title.ledger', needs: ['ledger.read'] },
  },
  {
    path: '/accounts',
    name: 'accounts',
    component: () => import('@/pages/AccountsPage.vue'),
    meta: { title: 'title.accounts', needs: ['account.list'] },
  },
  {
    path: '/view-records',
    name: 'views',
    component: () => import('@/pages/ViewRecordsPage.vue'),
    meta: { title: 'title.views', needs: ['view.list'] },
  },
  {
    path: '/tokens',
    name: 'tokens',
    component: () => import('@/pages/TokensPage.vue'),
    meta: { title: 'title.tokens', needs: ['token.list'] },
  },
  {
    path: '/system',
    name: 'system',
    component: () => import('@/pages/SystemPage.vue'),
    meta: { title: 'title.system', needs: ['system.read'] },
  },
  {
    path: '/not-permitted',
    name: 'not-permitted',
    component: () => import('@/pages/NotPermittedPage.vue'),
    meta: { title: 'title.notPermitted' },
  },
  {
    path: '/:rest(.*)*',
    name: 'not-found',
    component: () => import('@/pages/NotFoundPage.vue'),
    meta: { title: 'title.notFound' },
  },
]

/** The menu, in order; the first permitted entry is the home page. */
export const menu = [
  { name: 'queue', needs: 'incident.list' },
  { name: 'tasks', needs: 'incident.progress' },
  { name: 'my-home', needs: 'home.read' },
  { name: 'viewings', needs: 'viewing.read' },
  { name: 'wall', needs: 'camera.live' },
  { name: 'playback', needs: 'recording.play' },
  { name: 'cameras', needs: 'camera.list' },
  { name: 'duty', needs: 'duty.read' },
  { name: 'households', needs: 'household.list' },
  { name: 'exports', needs: 'export.list' },
  { name: 'locks', needs: 'recording.lock' },
  { name: 'seals', needs: 'seal.list' },
  { name: 'accounts', needs: 'account.list' },
  { name: 'setup', needs: 'dispatch.read' },
  { name: 'views', needs: 'view.list' },
  { name: 'ledger', needs: 'ledger.read' },
  { name: 'tokens', needs: 'token.list' },
  { name: 'storage', needs: 'storage.read' },
  { name: 'system', needs: 'system.read' },
] as const

/** Lists that a resident's household would fill only with what the home page shows better. */
const forStaff: ReadonlySet<string> = new Set(['cameras', 'exports', 'locks'])

/** Whether the signed-in account finds `entry` in its menu. */
export function offered({ name, needs }: (typeof menu)[number]): boolean {
  return may(needs) && (!forStaff.has(name) || may('incident.list') || may('camera.create') || !may('home.read'))
}

/** Whether every role of the account is one of those out there with a phone. */
function outside(): boolean {
  const roles = account.value?.roles ?? []
  return roles.length > 0 && roles.every(({ role }) => role === 'patrol' || role === 'department') && may('incident.progress')
}

export const router = createRouter({
  history: createWebHistory(),
  routes,
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
})

router.beforeEach(async (to) => {
  if (to.meta.anyone) return true
  if (!signedIn.value) await restore()
  if (!signedIn.value) {
    if (to.meta.public) return true
    return { name: 'sign-in', query: to.path === '/' ? {} : { next: to.fullPath } }
  }
  if (must.value) return to.name === 'account' ? true : { name: 'account' }
  if (to.meta.public) return { name: 'home' }
  if (to.name === 'home') {
    // Whoever only goes out to deal with things starts with the own tasks.
    const first = outside() ? { name: 'tasks' as const } : menu.find(offered)
    return first ? { name: first.name } : true
  }
  if (to.name === 'setup') {
    const first = setupPages.find((page) => page.needs.some(may))
    return { name: first?.name ?? 'not-permitted' }
  }
  const needs = to.meta.needs
  return !needs || needs.some(may) ? true : { name: 'not-permitted' }
})
