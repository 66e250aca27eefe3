/** The pages of consoles, and the scripts of noVNC and xterm.js as npm has them. Files alone: whoever asks gets them. */
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Dialect } from '../server.ts';
import { consolePrefix } from './url.ts';

const pages = join(import.meta.dirname, 'pages');
const modules = join(import.meta.dirname, '../../node_modules');

/** By the first part of the path. */
const folders: Readonly<Record<string, string>> = {
  novnc: join(modules, '@novnc/novnc'),
  xterm: join(modules, '@xterm/xterm'),
};
const names: Readonly<Record<string, string>> = { serial: 'serial.html', vnc: 'vnc.html' };
const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
};

/** Nothing from elsewhere, nothing inline; a page talks to where it is from. xterm.js makes its own style sheets. */
const policy = [
  ...["default-src 'none'", "script-src 'self'", "style-src 'self' 'unsafe-inline'", "img-src 'self' data: blob:"],
  ...["connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'self'"],
].join('; ');

export function consoleDialect(): Dialect {
  return {
    prefix: consolePrefix,
    async plugin(app: FastifyInstance) {
      // Open to whoever asks: the pages of noVNC's and xterm.js's own viewers.
      app.get('/*', { config: { open: true } }, async (request, reply) => {
        const path = (request.params as { '*': string })['*'];
        return answer(reply, fileOf(path));
      });
    },
  };
}

/** Undefined: none of ours. A name has letters, digits, points and hyphens, and no part begins with a point. */
function fileOf(path: string): string | undefined {
  const parts = path.split('/');
  if (!parts.every((part) => /^\w[\w.-]*$/.test(part))) return undefined;
  const [first = '', ...rest] = parts;
  if (rest.length === 0) return join(pages, Object.hasOwn(names, first) ? names[first]! : first);
  return Object.hasOwn(folders, first) ? join(folders[first]!, ...rest) : undefined;
}

async function answer(reply: FastifyReply, file: string | undefined): Promise<FastifyReply> {
  const type = file === undefined ? undefined : types[extname(file)];
  const bytes = type && (await readFile(file!).catch(() => undefined));
  reply.headers({
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'content-security-policy': policy,
  });
  if (!bytes) return reply.code(404).type('text/plain; charset=utf-8').send('There is no such page.\n');
  return reply.type(type!).header('cache-control', 'no-cache').send(bytes);
}
