import { fileURLToPath, URL } from 'node:url'
import vue from '@vitejs/plugin-vue'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'

// `CAMERA_HUB_URL` points the development server at a running hub.
const hub = process.env.CAMERA_HUB_URL ?? 'http://127.0.0.1:8480'

/** In development, too, /alarm and /tv are a program of their own. */
const alarmPages: Plugin = {
  name: 'alarm-pages',
  configureServer(server) {
    server.middlewares.use((request, _response, next) => {
      if (/^\/(alarm|tv)(\/|\?|$)/.test(request.url ?? '')) request.url = '/alarm.html'
      next()
    })
  },
}

export default defineConfig({
  plugins: [vue(), alarmPages],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  define: {
    __VUE_OPTIONS_API__: 'true', // Element Plus has components in that style
    __VUE_PROD_DEVTOOLS__: 'false',
    __VUE_I18N_FULL_INSTALL__: 'false',
    __VUE_I18N_LEGACY_API__: 'false',
    __INTLIFY_PROD_DEVTOOLS__: 'false',
  },
  build: {
    outDir: fileURLToPath(new URL('../api/console', import.meta.url)),
    emptyOutDir: true,
    target: 'es2022',
    // The hub's content security policy has no place for inline data.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: 'vue', test: /node_modules[\\/](@vue|vue|vue-router|vue-i18n|@intlify)[\\/]/ },
          ],
        },
      },
    },
  },
  server: {
    host: '127.0.0.1',
    proxy: { '/api': { target: hub, ws: true } },
  },
  test: { environment: 'node', include: ['tests/**/*.test.ts'] },
})
