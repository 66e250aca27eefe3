import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { listName } from './lane.ts';

/** A lane over test files with these texts, run as `npm run check` runs it. */
function laneOver(...texts: string[]): { status: number | null; output: string } {
  const root = mkdtempSync(join(tmpdir(), 'lane-'));
  try {
    const files = texts.map((_, index) => `${index + 1}.test.mjs`);
    for (const [index, text] of texts.entries()) {
      const head = `import { after, before, describe, test } from 'node:test';\nconst say = console.error;\n`;
      writeFileSync(join(root, files[index]!), head + text);
    }
    writeFileSync(join(root, listName), JSON.stringify({ root, files }));
    const entry = join(root, 'lane-1.mjs');
    const lane = new URL('lane.ts', import.meta.url).href;
    writeFileSync(entry, `import { runLane } from '${lane}';\nawait runLane(${JSON.stringify(root)});\n`);
    // Node's runner refuses to run within itself.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const ran = spawnSync(process.execPath, ['--test', '--test-reporter=tap', entry], { encoding: 'utf8', env });
    return { status: ran.status, output: ran.stdout + ran.stderr };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

test('files of a lane follow each other, each with hooks of its own', () => {
  const { status, output } = laneOver(
    `before(() => say('said: 1 begins'));
     after(() => say('said: 1 ends'));
     describe('inner', () => { before(() => say('said: inner')); test('one', () => say('said: one')); });`,
    `before(() => say('said: 2 begins'));
     test('two', () => say('said: two'));`,
  );
  assert.equal(status, 0, output);
  const said = [...output.matchAll(/said: (.*)/g)].map(([, words]) => words);
  assert.deepEqual(said, ['1 begins', 'inner', 'one', '1 ends', '2 begins', 'two']);
});

test('a test that fails fails the lane', () => {
  const { status, output } = laneOver(`test('one', () => { throw new Error('no'); });`, `test('two', () => {});`);
  assert.equal(status, 1, output);
  assert.match(output, /^# pass 1$/m);
});

test('a file that leaves the process another clock fails the lane, and is named', () => {
  const { status, output } = laneOver(
    `test('one', () => { const { now } = Date; Date.now = () => now() - 3_600_000; });`,
  );
  assert.equal(status, 1, output);
  assert.match(output, /1\.test\.mjs has left this process another clock/);
});

for (const [how, raise] of [
  ['is thrown', `setImmediate(() => { throw new Error('astray'); });`],
  ['rejects a promise', `Promise.reject(new Error('astray'));`],
] as const) {
  test(`an error that ${how} where nobody catches it fails the lane, and its file is named`, () => {
    const { status, output } = laneOver(
      `test('one', async () => { ${raise} await new Promise((resolve) => setTimeout(resolve)); });`,
    );
    assert.equal(status, 1, output);
    assert.match(output, /while 1\.test\.mjs ran: Error: astray/);
  });
}
