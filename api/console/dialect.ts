/**
 * The pages of consoles, and the scripts of noVNC and xterm.js as npm has them. Only files that were found at the start are served, each by
 * its whole name; a page names all that its library is made of, so that a browser asks for everything at once and not for one import
 * after the other.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { extname, join, relative } from 'node:path';
import type { FastifyReply } from 'fastify';
import { Boundary } from '../boundary/boundary.ts';
import { Refusal } from '../boundary/refusal.ts';
import { plainSentence } from '../boundary/sentences.ts';
import { speakFaults } from '../openstack/common/faults.ts';
import type { Dialect } from '../server.ts';
import { consolePrefix } from './url.ts';

const pages = join(import.meta.dirname, 'pages');
const modules = join(import.meta.dirname, '../../node_modules');

/** What is served of each package, with its version in the name: such a file never changes. */
const libraries = [
  { name: 'novnc', folder: join(modules, '@novnc/novnc'), parts: ['core', 'vendor'], extensions: ['.js'] },
  { name: 'xterm', folder: join(modules, '@xterm/xterm'), parts: ['css', 'lib'], extensions: ['.css', '.mjs'] },
];
const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
};

/** Nothing from elsewhere, nothing inline; a page talks to where it is from. xterm.js makes its own style sheets. */
const policy = [
  ...["default-src 'none'", "script-src 'self'", "style-src 'self' 'unsafe-inline'", "img-src 'self' data: blob:"],
  ...["connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'self'"],
].join('; ');

const page = (summary: string) => ({ summary, rights: 'open', answers: { 200: 'text/html' } }) as const;
const part = { summary: "A part of a console's page", rights: 'open', answers: { 200: 'text/javascript' } } as const;

export function consoleDialect(): Dialect {
  return {
    prefix: consolePrefix,
    async plugin(app) {
      speakFaults(app, { body: ({ message }) => ({ error: message }) });
      app.addHook('onRequest', async (_request, reply) => {
        reply.headers({
          ...{ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' },
          'content-security-policy': policy,
        });
      });
      routes(
        new Boundary(app, {
          sentences: { refuse: (where, fault) => new Refusal('invalid', plainSentence(where, fault)) },
        }),
      );
    },
  };
}

function routes(app: Boundary): void {
  const files = new Map(filesOf(pages, ['.css', '.js']));
  for (const library of libraries) for (const [name, path] of libraryFiles(library)) files.set(name, path);
  const [screen, serial] = ['vnc', 'serial'].map((name) => pageOf(name, [...files.keys()]));
  app.get('/vnc.html', page("A server's screen"), (_request, reply) => send(reply, '.html', screen!));
  app.get('/vnc', page("A server's screen"), (_request, reply) => send(reply, '.html', screen!));
  app.get('/serial', page("A server's serial console"), (_request, reply) => send(reply, '.html', serial!));
  app.get('/*', part, async (request, reply) => {
    const name = (request.params as Record<string, string>)['*'] ?? '';
    const path = files.get(name);
    if (path === undefined) throw new Refusal('not_found', 'There is no such page.');
    return send(reply, extname(name), await readFile(path), { lasting: name.includes('/') });
  });
}

/** A page's address has a token in it, which nobody on the way shall keep. */
function send(reply: FastifyReply, extension: string, bytes: Buffer | string, { lasting = false } = {}): FastifyReply {
  const [ours, theirs] = [extension === '.html' ? 'no-store' : 'no-cache', 'public, max-age=31536000, immutable'];
  return reply
    .header('cache-control', lasting ? theirs : ours)
    .type(types[extension] ?? 'text/html; charset=utf-8')
    .send(bytes);
}

function filesOf(folder: string, extensions: readonly string[], below = folder): [string, string][] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) => {
    const path = join(entry.parentPath, entry.name);
    const wanted = entry.isFile() && extensions.includes(extname(entry.name));
    return wanted ? [[relative(below, path), path] as [string, string]] : [];
  });
}

function libraryFiles({ name, folder, parts, extensions }: (typeof libraries)[number]): [string, string][] {
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
  const found = parts.flatMap((each) => filesOf(join(folder, each), extensions, folder));
  return found.map(([file, path]) => [`${name}-${version}/${file}`, path]);
}

/** The page, with the places of its library's parts. */
function pageOf(name: string, files: readonly string[]): string {
  const parts = files.filter((file) => file.startsWith(name === 'vnc' ? 'novnc-' : 'xterm-'));
  const main = parts.find((file) => /(core\/rfb\.js|lib\/xterm\.mjs)$/.test(file))!;
  const heads = parts.map((file) => {
    const url = `${consolePrefix}/${file}`;
    return file.endsWith('.css') ? `<link rel="stylesheet" href="${url}">` : `<link rel="modulepreload" href="${url}">`;
  });
  return readFileSync(join(pages, `${name}.html`), 'utf8')
    .replace('{library}', `${consolePrefix}/${main}`)
    .replace('{parts}', heads.join('\n'));
}
