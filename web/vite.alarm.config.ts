import { fileURLToPath, URL } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'
import { VitePWA } from 'vite-plugin-pwa'

/** Browsers of television sets are years behind; this is the oldest that the alarm is built for. */
const OLDEST = 'chrome68'

// The alarm of /alarm and /tv: a second program beside the console, with a service worker of its own.
export default defineConfig({
  plugins: [
    vue(),
    VitePWA({
      strategies: 'injectManifest',
      srcDir: 'src/alarm',
      filename: 'sw.ts',
      // The page registers it by itself, and the hub writes the site's name into the manifest.
      injectRegister: false,
      manifest: false,
      injectManifest: {
        globPatterns: ['alarm.html', 'assets/alarm-*', 'alarm-icon.svg', 'icon-192.png', 'badge-96.png'],
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
    outDir: fileURLToPath(new URL('../api/console', import.meta.url)),
    emptyOutDir: false,
    target: OLDEST,
    cssTarget: OLDEST,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    rolldownOptions: {
      input: fileURLToPath(new URL('./alarm.html', import.meta.url)),
      output: {
        entryFileNames: 'assets/alarm-[hash].js',
        chunkFileNames: 'assets/alarm-[name]-[hash].js',
        assetFileNames: 'assets/alarm-[name]-[hash][extname]',
      },
    },
  },
})
