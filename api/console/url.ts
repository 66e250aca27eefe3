/** Where a console is opened, once. */
import type { ConsoleKind } from '../../contract/host/index.ts';

export const consolePrefix = '/console';
export const consolePath = (kind: ConsoleKind): string => `${consolePrefix}/${kind}`;

/**
 * A screen: the page's address, in the form of Nova's (noVNC's own pages take the WebSocket's path from it). A serial console: the
 * WebSocket's, as Nova's; a browser that is sent to the same address by https gets a page.
 * @param root e.g. https://cloud:8774
 */
export function consoleUrl(root: string, kind: ConsoleKind, token: string): string {
  const query = `?token=${token}`;
  if (kind === 'serial') return `${root.replace(/^http/, 'ws')}${consolePath(kind)}${query}`;
  return `${root}${consolePrefix}/vnc.html?path=${encodeURIComponent(consolePath(kind).slice(1) + query)}`;
}
