import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, URL } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { defineConfig, type Plugin } from 'vite'
import { VitePWA } from 'vite-plugin-pwa'

/** Browsers of television sets are years behind; this is the oldest that the alarm is built for. */
const OLDEST = 'chrome68'

const outDir = fileURLToPath(new URL('../api/console', import.meta.url))

/** The files of this program, told by their names from the console's. */
const OWN = 'sos-'

/** The console's files stay; those of an earlier alarm would be kept for offline, too. */
const withoutEarlier: Plugin = {
  name: 'without-earlier-alarm',
  buildStart() {
    try {
      const names = readdirSync(join(outDir, 'assets')).filter((name) => name.startsWith(OWN))
      for (const name of names) rmSync(join(outDir, 'assets', name))
    } catch {
      return // nothing is built yet
    }
  },
}

// The alarm of /alarm and /tv: a second program beside the console, with a service worker of its own.
export default defineConfig({
  plugins: [
    withoutEarlier,
    vue(),
    VitePWA({
      strategies: 'injectManifest',
      srcDir: 'src/alarm',
      filename: 'sw.ts',
      // The page registers it by itself, and the hub writes the site's name into the manifest.
      injectRegister: false,
      manifest: false,
      injectManifest: {
        globPatterns: ['alarm.html', `assets/${OWN}*`, 'alarm-icon.svg', 'icon-192.png', 'badge-96.png'],
        rollupFormat: 'iife',
        target: OLDEST,
        minify: true,
      },
    }),
  ],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  define: {
    __VUE_OPTIONS_API__: 'false',
    __VUE_PROD_DEVTOOLS__: 'false',
    __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'false',
  },
  publicDir: false,
  build: {
    outDir,
    emptyOutDir: false,
    target: OLDEST,
    cssTarget: OLDEST,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    rolldownOptions: {
      input: fileURLToPath(new URL('./alarm.html', import.meta.url)),
      output: {
        entryFileNames: `assets/${OWN}[hash].js`,
        chunkFileNames: `assets/${OWN}[name]-[hash].js`,
        assetFileNames: `assets/${OWN}[name]-[hash][extname]`,
      },
    },
  },
})
