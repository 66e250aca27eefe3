/** The script `bothy` before there is a pinned Node.js: what it fetches, and for whom. Nothing is fetched here: there is no npm. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { tryRun } from './run.ts';

const repository = fileURLToPath(new URL('..', import.meta.url));
const clone = mkdtempSync(join(tmpdir(), 'bothy-launcher-'));
after(() => rmSync(clone, { recursive: true, force: true }));

test('who asks what the tests are need not wait until the tools for them have been fetched', async () => {
  cloneWithLibraries('production');
  for (const help of ['--help', '-h']) {
    const { code, stdout } = await launch('test', help);
    assert.deepEqual([code, stdout.trim()], [0, `main.ts test ${help}`]);
  }
  const { code, stderr } = await launch('test');
  assert.equal(code, 1);
  assert.match(stderr, /npm is not in PATH/);
});

test('who has the tools for the tests, by npm ci, keeps them when a cloud is started', async () => {
  cloneWithLibraries('none');
  mkdirSync(join(clone, 'node_modules/.bin'), { recursive: true });
  writeFileSync(join(clone, 'node_modules/.bin/tsc'), '');
  const npm = join(clone, 'tools/npm');
  writeFileSync(npm, '#!/bin/sh\necho npm "$@"\nexit 1\n', { mode: 0o755 });
  const { code, stderr } = await launch('up');
  rmSync(npm);
  assert.equal(code, 1);
  assert.match(stderr, /npm ci --include=dev/);
});

/** A clone whose Node.js only says what it was asked to run. */
function cloneWithLibraries(flavor: string): void {
  const arch = { x64: 'x64', arm64: 'arm64' }[process.arch as string] ?? 'x64';
  const bin = join(clone, `node_modules/node-linux-${arch}/bin`);
  mkdirSync(bin, { recursive: true });
  for (const file of ['bothy', 'package.json', 'package-lock.json', '.npmrc'])
    copyFileSync(join(repository, file), join(clone, file));
  const lock = createHash('sha256')
    .update(readFileSync(join(clone, 'package-lock.json')))
    .digest('hex');
  writeFileSync(join(clone, 'node_modules/.bothy-lock'), `${lock} ${flavor}\n`);
  writeFileSync(join(bin, 'node'), '#!/bin/sh\nshift 2\necho main.ts "$@"\n', { mode: 0o755 });
}

/** With a `node` and no `npm` in PATH, so that what would be fetched ends in a message. */
function launch(...args: string[]) {
  const tools = join(clone, 'tools');
  mkdirSync(tools, { recursive: true });
  writeFileSync(join(tools, 'node'), '#!/bin/sh\necho 24\n', { mode: 0o755 });
  return tryRun('/bin/sh', [join(clone, 'bothy'), ...args], { env: { PATH: `${tools}:${withoutNpm()}` } });
}

/** The programs that the script uses, and no others. */
function withoutNpm(): string {
  const bin = join(clone, 'bin');
  if (mkdirSync(bin, { recursive: true }) === undefined) return bin;
  const programs = ['dirname', 'readlink', 'uname', 'sha256sum', 'cut', 'mkdir', 'flock', 'rm', 'cp'];
  for (const name of programs)
    writeFileSync(join(bin, name), `#!/bin/sh\nPATH=/usr/bin:/bin exec ${name} "$@"\n`, { mode: 0o755 });
  return bin;
}
