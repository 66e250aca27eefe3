/** What READMEs, documents and comments point to is there: a file that moves takes along what names it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const files = execFileSync('git', ['-C', root, 'ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
  encoding: 'utf8',
})
  .split('\0')
  .filter((file) => file !== '' && existsSync(join(root, file)));
const folders = new Set(files.flatMap((file) => parents(file)));
const places = [...files, ...folders];
const text = (file: string): string => readFileSync(join(root, file), 'utf8');

function parents(file: string): string[] {
  const above = dirname(file);
  return above === '.' ? [] : [above, ...parents(above)];
}

const tops = [...folders].filter((folder) => !folder.includes('/') && !folder.startsWith('.')).join('|');
/** From the root, to source or a document; without an ending it may leave out the rest of a name: `test/live/qos`. */
const fromRoot = new RegExp(
  `(?<![$\\w./-])(?:${tops})/[\\w/-]+(?:\\.[\\w.-]*(?:ts|sql|md))?(?![\\w.*{<…-]*[\\w*{<…])`,
  'g',
);
/** Of QEMU's documentation and of neutron-lib, which have folders of those names, too. */
const elsewhere = new Set(['docs/interop/qemu-ga-ref', 'api/validators']);

const isThere = (place: string): boolean => {
  const path = place.replace(/\/$/, '');
  return places.some((each) => each === path || each.startsWith(`${path}.`) || each.startsWith(`${path}-`));
};

/** Lines that people read: those of documents, and comments. Migrations are never changed, so they speak of their day. */
function* prose(): Generator<{ file: string; line: number; words: string }> {
  for (const file of files) {
    if (!/\.(ts|md)$/.test(file)) continue;
    for (const [index, line] of text(file).split('\n').entries()) {
      const words = file.endsWith('.md')
        ? line
        : /(?:^\s*(?:\/?\*+|\/\/)|[;,{}] \/[/*]+)(?<words>.*)$/.exec(line)?.groups?.words;
      if (words) yield { file, line: index + 1, words };
    }
  }
}

test('a path in a document or a comment leads somewhere', () => {
  const lost: string[] = [];
  for (const { file, line, words } of prose())
    for (const [path] of words.matchAll(fromRoot))
      if (!isThere(path) && !isThere(join(dirname(file), path)) && !elsewhere.has(path))
        lost.push(`${file}:${line}: ${path}`);
  assert.deepEqual(lost, []);
});

test('a link in a document leads somewhere', () => {
  const lost: string[] = [];
  for (const { file, line, words } of prose()) {
    if (!file.endsWith('.md')) continue;
    for (const [, target = ''] of words.matchAll(/\]\(([^)#\s]+)/g))
      if (!/^\w+:/.test(target) && !places.includes(normalize(join(dirname(file), target)).replace(/\/$/, '')))
        lost.push(`${file}:${line}: ${target}`);
  }
  assert.deepEqual(lost, []);
});

const readmes = files.filter((file) =>
  /^(contract|protocols|control|engine|api|host|cli|simulator|test|tools)\/.*README\.md$/.test(file),
);

test("what a README's table names is in its folder", () => {
  const lost: string[] = [];
  for (const readme of readmes) {
    const folder = dirname(readme);
    for (const line of text(readme).split('\n')) {
      const first = /^\|(?<cell>[^|]*)\|/.exec(line)?.groups?.cell ?? '';
      for (const [, name = ''] of first.matchAll(/`([\w./-]+(?:\.ts|\/))`/g)) {
        const path = normalize(join(folder, name)).replace(/\/$/, '');
        if (!places.includes(path)) lost.push(`${readme}: ${name}`);
      }
    }
  }
  assert.deepEqual(lost, []);
});

test('a README names each folder of its own', () => {
  const unnamed: string[] = [];
  for (const readme of readmes) {
    const said = text(readme);
    for (const folder of folders) {
      const name = folder.split('/').at(-1)!;
      if (dirname(folder) !== dirname(readme) || /^(testing|golden)$/.test(name)) continue;
      if (!said.includes(`${name}/`)) unnamed.push(`${readme}: ${name}/`);
    }
  }
  assert.deepEqual(unnamed, []);
});
