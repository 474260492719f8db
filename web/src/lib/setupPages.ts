/** The pages behind the menu's entry "Set-up", in order. The first permitted one opens. */
export const setupPages = [
  { name: 'areas', needs: ['area.list'] },
  { name: 'policies', needs: ['dispatch.read'] },
  { name: 'channels', needs: ['gateway.list', 'webhook.list'] },
  { name: 'devices', needs: ['device.list'] },
] as const
